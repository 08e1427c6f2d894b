//go:build unix

// Package page_test tests the page of examples/quickstart in a browser.
package page_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/internal/testkit"
)

var pictures = flag.Bool("pictures", false, "write the pictures of the quickstart's page into docs/images")

// TestPage builds the quickstart, lets it serve its page, and tests the page in a real
// browser.
func TestPage(t *testing.T) {
	program := servers.Build(t, "../../../examples/quickstart")

	t.Run("refuses other sites", func(t *testing.T) { testOtherSites(t, servePage(t, program)) })

	t.Run("refuses an unknown argument", func(t *testing.T) {
		var failed *exec.ExitError
		require.ErrorAs(t, exec.Command(program, "foo").Run(), &failed)
		assert.Equal(t, 2, failed.ExitCode())
	})

	chromium := startChromium(t)
	for name, test := range map[string]func(*testing.T, *tab){
		"two phones hear of each other":         testTwoPhones,
		"a stranger is refused in words":        testStranger,
		"an update is explained":                testUpdate,
		"the rollout moves with the file":       testRollout,
		"a withdrawal and its fix":              testStory,
		"mobile versions and the square":        testMobile,
		"both languages, by choice":             testLanguages,
		"names of JavaScript's own are text":    testForeignNames,
		"fits narrow and wide, light and dark":  testWidths,
		"a reload shows the conversation again": testReload,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, openTab(t, chromium, servePage(t, program), "en-US", 1600))
		})
	}
	t.Run("Chinese, by the language of the browser", func(t *testing.T) {
		testChinese(t, openTab(t, chromium, servePage(t, program), "zh-CN", 360))
	})
	t.Run("too many windows", func(t *testing.T) { testTooMany(t, chromium, servePage(t, program)) })
	t.Run("another server in the place of this one", func(t *testing.T) { testRestart(t, program, chromium) })
	if *pictures {
		for language, name := range map[string]string{"en-US": "en", "zh-CN": "zh"} {
			t.Run("pictures "+name, func(t *testing.T) {
				takePictures(t, openTab(t, chromium, servePage(t, program, "127.0.0.1:8585"), language, 1440), name)
			})
		}
	}
}

func testTwoPhones(t *testing.T, b *tab) {
	b.sees(`phone(1).switch === "false" && phone(2).switch === "false"`)

	// While the notice is off, clients tell nobody about a screenshot.
	b.click(".phone:nth-child(1) .shot")
	b.sees(`phone(1).last === "You took a screenshot. The notice is off, so nobody is told"`)

	// With the keyboard only.
	b.run(chromedp.Focus(chromedp.CSS(".phone:nth-child(1) [role=switch]")), chromedp.KeyEvent(" "))
	b.sees(`phone(1).switch === "true" && phone(2).switch === "true"`)
	b.sees(`phone(1).last === "You switched the screen-capture notice on"`)
	b.sees(`phone(2).last === "Alice switched the screen-capture notice on"`)

	b.click(".phone:nth-child(2) .shot")
	b.sees(`phone(1).last === "Bob took a screenshot of this chat"`)
	b.sees(`phone(2).last === "You took a screenshot of this chat"`)

	// The request, its answer, and what was sent to the cloud.
	b.sees(`text("#wire summary").startsWith("POST/misc/send_sc_msg200Bob")`)
	for _, part := range []string{
		"RequestPOST /misc/send_sc_msg HTTP/1.1\n\n{", "AnswerHTTP/1.1 200 OK\n\n{", "POST /misc/send_sc_msg HTTP/1.1\r\nHost: 127.0.0.1:", "X-User: bob\r\n", `{"conversationType":1,"targetId":"kFpN4KiZn"}`,
		"HTTP/1.1 200 OK\r\n", `{"code":200}`, "Signature verified", "POST /message/private/publish.json HTTP/1.1\r\n",
		"objectNameST:ConNtf", `content{"operatorUserId":"z2mlAvb0c","operation":"sendScreenNtf"}`, "isIncludeSender1",
	} {
		b.sees(fmt.Sprintf(`text("#wire [open]").includes(%q)`, part))
	}
	b.sees(`!$("#wire [open]").innerText.includes("X-User: ")`) // not before the headers are opened

	b.run(chromedp.SendKeys(chromedp.CSS(".phone:nth-child(1) form input"), "<b>你好</b>\r"))
	b.sees(`phone(1).last === "Alice<b>你好</b>" && phone(2).last === "Alice<b>你好</b>"`)
	b.sees(`$(".phone:nth-child(2) form input").value === "Thanks! Please keep it between us"`)
	b.click(".phone:nth-child(2) .send")
	b.sees(`phone(1).last === "BobThanks! Please keep it between us"`)

	// What the user has opened stays open.
	b.click("#wire .headers summary")
	b.sees(`$("#wire [open] .headers").innerText.includes("X-User is the demo’s login") && $("#wire [open] .headers").innerText.includes("X-User: bob")`)
	b.click(".phone:nth-child(2) .send")
	b.sees(`phone(1).last === "BobOf course"`)
	b.sees(`text("#wire li:nth-child(1) summary").includes("send_message") && $$("#wire .exchanges > li > [open]").length === 1 && $("#wire li:nth-child(2) > [open]") !== null`)

	// The group has its own switch, and its tab is marked if there are unread messages.
	b.click(".phone:nth-child(1) .tabs button:nth-child(2)")
	b.sees(`phone(1).last === "No messages yet" && phone(1).switch === "false"`)
	b.click(".phone:nth-child(1) [role=switch]")
	b.sees(`phone(1).last === "You switched the screen-capture notice on"`)
	b.sees(`text(".phone:nth-child(2) .tabs button:nth-child(2)") === "Teamunread"`)
	b.click(".phone:nth-child(2) .tabs button:nth-child(2)")
	b.sees(`phone(2).last === "Alice switched the screen-capture notice on" && phone(2).switch === "true"`)
	b.click(".phone:nth-child(2) [role=switch]")
	b.sees(`phone(1).last === "Bob switched the screen-capture notice off" && phone(1).switch === "false"`)
}

func testStranger(t *testing.T, b *tab) {
	b.sees(`text("#update .offered") !== ""`) // the last request of the page when it is loaded
	b.run(chromedp.SendKeys(chromedp.CSS(".phone:nth-child(2) select"), "Mallory"))
	b.sees(`phone(2).name === "Mallory’s phone"`)
	b.sees(`text("#wire summary") === "POST/misc/get_screen_capture403Mallory" && phone(2).last === "No messages yet"`)
	for _, refused := range [][2]string{{"[role=switch]", "Switch"}, {".shot", "Screenshot notice"}, {".send", "Message"}} {
		b.click(".phone:nth-child(2) " + refused[0])
		b.sees(fmt.Sprintf(`phone(2).last === "%s refused (403): you are not friends"`, refused[1]))
	}
	b.click(".phone:nth-child(2) .tabs button:nth-child(2)")
	b.sees(`text("#wire .status") === "403" && phone(2).last === "No messages yet"`)
	b.click(".phone:nth-child(2) .send")
	b.sees(`phone(2).last === "Message refused (403): you are not in this group"`)
	b.sees(`phone(1).lines.length === 1 && phone(1).last === "No messages yet"`)
	b.sees(`text("#wire summary .status") === "403"`)
}

func testUpdate(t *testing.T, b *tab) {
	b.sees(`text("#update .result p") === "200 OK2.1.0 is offered"`)
	b.sees(`text("#update .offered") === "2.1.0updateoffered"`)
	b.sees(`$$(".examples [aria-pressed=true]").length === 1 && text(".examples [aria-pressed=true]") === "Mac on 2.0.0"`)
	example := func(n int) { b.click(fmt.Sprintf(".examples button:nth-child(%d)", n)) }
	example(2)
	b.sees(`text("#update .result") === "204 No Contentno update for this client"`)
	b.sees(`text("#update tbody tr:nth-child(2)") === "2.1.0rolloutthe rollout is at 25 %, and the client's place in it is 35.9535 %"`)
	example(3)
	b.sees(`text("#update .result") === "204 No Contentno update for this client"`)
	example(4)
	b.sees(`text("#update .result p") === "200 OK1.0.2 is offered"`)
	b.sees(`text("#update tbody tr:nth-child(2)").startsWith("2.1.0from")`)
	example(5)
	b.sees(`text("#update .result p") === "200 OK1.0.2 is offered · mandatory"`)
	b.sees(`text(".examples [aria-pressed=true]") === "Below the minimum"`)
	example(6)
	b.sees(`text("#update tbody tr:nth-child(2)").startsWith("2.1.0os")`)
	example(7)
	b.sees(`text("#update .result p") === "200 OK2.2.0-beta.1 is offered"`)
	example(8)
	b.sees(`text("#update .result p") === "400 Bad Requestversion must be one semantic version such as 1.0.2"`)

	example(7)
	b.run(chromedp.SetValue(chromedp.CSS("#update [name=channel]"), "nightly"), chromedp.SendKeys(chromedp.CSS("#update [name=channel]"), "\r"))
	b.sees(`text("#update tbody tr:nth-child(1)") === "2.2.0-beta.1channelthe client is on channel stable"`)
	b.sees(`$$(".examples [aria-pressed=true]").length === 0`)
}

func testRollout(t *testing.T, b *tab) {
	const offered = `$$(".group").map((g) => [...g.querySelectorAll("h3, li")].map((e) => e.textContent).join(", ")).join("; ")`
	b.sees(offered + ` === "Run 2.0.0: 117, 12 → 2.2.0-beta.1 update, 23 → 2.1.0 update, 72 wait for their turn rollout, 10 send no id no-id; ` +
		`Run 1.0.2: 63, 12 → 2.1.0 update, 43 → 2.0.0 update, 8 no build for their OS os; Run 1.0.0: 20, 20 → 1.0.2 update"`)
	b.sees(`text(".share") === "2.1.0 is offered to 35 of the 172 that can install it"`)
	b.sees(`$$(".strip span").length === 200 && $(".strip").getAttribute("aria-label") === "Of those that run 2.0.0: ` +
		`12 → 2.2.0-beta.1 (update), 23 → 2.1.0 (update), 72 wait for their turn (rollout), 10 send no id (no-id)"`)
	b.sees(`text(".steps [aria-current=step]") === "2.1.0 at 25 %" && text(".caption").startsWith("2.1.0 is published at 25 %: 35 installations are offered it.")`)

	// Somebody edits the file.
	path := value[string](b, `text(".path code")`)
	original, err := os.ReadFile(path)
	require.NoError(t, err)
	write := func(text string) {
		require.NoError(t, os.WriteFile(path+".mine", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+".mine", path))
	}
	write(strings.Replace(string(original), `"rollout": 25`, `"rollout": 100`, 1))
	const all = offered + ` === "Run 2.0.0: 117, 12 → 2.2.0-beta.1 update, 105 → 2.1.0 update; Run 1.0.2: 63, 55 → 2.1.0 update, 8 no build for their OS os; Run 1.0.0: 20, 20 → 1.0.2 update"`
	b.sees(all)
	b.sees(`text(".slider label") === "Rollout of 2.1.0: 100 %" && $("#percent").value === "100"`)

	// An invalid or missing file changes nothing, and the page says so.
	const lastGood = ` && text(".slider label") === "Rollout of 2.1.0: 100 % (from the last good file, which is in use)" && $("#percent").disabled`
	write(`{"releases": [}`)
	b.sees(`text(".problem").startsWith("The file is invalid. The last good one stays in use.")` + lastGood)
	require.NoError(t, os.Remove(path))
	b.sees(`text(".problem").startsWith("The file is missing. The last good one stays in use.")` + lastGood)
	b.run(chromedp.Reload())
	b.sees(`text(".problem").startsWith("The file is missing.")` + lastGood)
	b.sees(all)
	write(strings.Replace(string(original), `"rollout": 25`, `"rollout": 12.5`, 1))
	b.sees(`text(".slider label") === "Rollout of 2.1.0: 12.5 %" && $("#percent").value === "12.5"`)
	write(string(original))
	b.sees(`text(".problem") === "" && text(".slider label") === "Rollout of 2.1.0: 25 %"`)

	// The slider edits the file, and so does the editor.
	b.run(chromedp.Focus(chromedp.CSS("#percent")), chromedp.KeyEvent(kb.Home))
	b.sees(offered + ` === "Run 2.0.0: 117, 12 → 2.2.0-beta.1 update, 105 wait for their turn rollout; Run 1.0.2: 63, 55 → 2.0.0 update, 8 no build for their OS os; Run 1.0.0: 20, 20 → 1.0.2 update"`)
	b.sees(`$(".steps [aria-current]") === null && text(".caption").startsWith("You have changed the file")`)
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(string(original), `"rollout": 25`, `"rollout": 0`, 1), string(written))

	// It saves while it is dragged.
	value[*string](b, `(() => { const s = $("#percent"); s.value = 41.7; s.dispatchEvent(new Event("input")); })()`)
	b.sees(`text(".slider label") === "Rollout of 2.1.0: 42 %" && $("textarea").value.includes('"rollout": 42')`)

	b.run(chromedp.SetValue(chromedp.CSS("textarea"), `{"releases": [{"version": "1"}]}`))
	b.click(".save")
	b.sees(`text(".problem").startsWith("Not saved: ")`)
	write(string(original))
	b.sees(`text(".slider label") === "Rollout of 2.1.0: 25 %" && text(".problem").startsWith("Not saved: ")`) // while the text is in the box
	b.click(".revert")
	b.sees(`$("textarea").value.includes("Faster search")`)
	value[string](b, `$("textarea").value = $("textarea").value.replace('"rollout": 25', '"withdrawn": "eats drafts"')`)
	write(strings.Replace(string(original), "A new look", "An old look", 1))
	b.sees(`text(".slider label") === "Rollout of 2.1.0: 25 %" && catalog.text.includes("An old look")`)
	b.click(".save")
	b.sees(`text(".problem").startsWith("Not saved: the file changed on disk meanwhile.")`)
	written, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(written), "An old look")
	b.click(".save")
	b.sees(`text(".problem") === "" && text("#update tbody tr:nth-child(2)") === "2.1.0withdrawnwithdrawn: eats drafts"`)
	written, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(written), `"withdrawn": "eats drafts"`)
}

func testStory(t *testing.T, b *tab) {
	b.sees(`text("#update .offered") !== ""`)
	b.click(".examples button:nth-child(3)") // runs 2.1.0, and is outside a tenth
	b.sees(`text("#update .result") === "204 No Contentno update for this client"`)

	// With the keyboard only.
	turn := func(chapter int, caption, zh string) {
		b.run(chromedp.Focus(chromedp.CSS(fmt.Sprintf(".steps li:nth-child(%d) button", chapter))), chromedp.KeyEvent("\r"))
		b.sees(fmt.Sprintf(`text(".caption") === %q && $(".steps li:nth-child(%d) [aria-current=step]") !== null`, caption, chapter))
		b.click("[data-lang=zh]")
		b.sees(fmt.Sprintf(`text(".caption") === %q`, zh))
		b.sees(`$$("#update tbody td:last-child").every((e) => !/[a-z]{3}/.test(e.textContent.replace(/stable|loses drafts/, "")))`) // no English sentence
		b.click("[data-lang=en]")
	}
	group := func(n int) string {
		return value[string](b, fmt.Sprintf(`[...$$(".group")[%d].querySelectorAll("h3, li")].map((e) => e.textContent).join(", ")`, n-1))
	}

	turn(2, "2.1.0 loses drafts, so the file says that it is withdrawn. Nobody is offered it any more; the 35 that already run it wait for a fix.",
		"2.1.0 会丢失草稿，因此在文件中标记为撤回，不再提供给任何人；已经装上它的 35 台电脑等待修复版本。")
	assert.Equal(t, "Run 2.1.0: 35 withdrawn: loses drafts, 35 no fix yet current", group(2))
	b.sees(`$$(".group.withdrawn .stuck").length === 36 && $("#percent").disabled`)                        // with the legend's
	b.sees(`$("textarea").value.includes('"withdrawn": "loses drafts"') && $("textarea").scrollTop > 100`) // the line is in view

	turn(3, "2.1.1 mends it and is published at 10 %. All 35 that run the withdrawn release are offered the fix at once, whatever their place in the rollout. "+
		"Of the 145 others that can install it, 11 are, and the rest follow in their turn.",
		"2.1.1 修复了问题，以 10% 的比例发布。正在运行已撤回版本的 35 台电脑全部立即得到修复版本，不受灰度比例限制；其余可以安装它的 145 台中，目前有 11 台，剩下的随比例提高依次得到。")
	assert.Equal(t, "Run 2.1.0: 35 withdrawn: loses drafts, 35 → 2.1.1 update", group(2))
	assert.Equal(t, "Run 2.0.0: 145, 11 → 2.1.1 update, 124 wait for their turn rollout, 10 send no id no-id", group(3))
	b.sees(`text("#update .result p") === "200 OK2.1.1 is offered"`)
	b.sees(`text("#update .offered") === "2.1.1updateoffered whatever its rollout, since the client runs a withdrawn release"`)

	// The slider moves the rollout of the fix, and not that of the withdrawn release.
	b.run(chromedp.Focus(chromedp.CSS("#percent")), chromedp.KeyEvent(kb.End))
	b.sees(`text(".slider label") === "Rollout of 2.1.1: 100 %" && catalog.text.includes('"rollout": 100') && catalog.text.includes('"rollout": 25')`)
	b.sees(`$(".steps [aria-current]") === null`)

	turn(4, "2.1.1 goes to everyone: 46 run it already, and the 134 others that can install it are offered it now. Nobody runs 2.1.0 any more.",
		"2.1.1 全量发布：46 台已经在运行它，其余可以安装的 134 台现在都会更新到它。已经没有电脑运行 2.1.0。")
	assert.Equal(t, "Run 2.1.1: 46, 46 up to date current", group(2))
	value[*string](b, `localStorage.clear()`)
}

func testMobile(t *testing.T, b *tab) {
	b.sees(`text(".facts").includes("iOS1.0.5build 201607181821https://dn-rongcloud.qbox.me/app.plist")`)
	b.sees(`text(".facts").includes("Android1.0.5")`)
	b.sees(`text(".facts").includes("Team group · 2 members")`)
}

func testLanguages(t *testing.T, b *tab) {
	b.sees(`document.documentElement.lang === "en" && text("#phones h2") === "Two phones"`)
	b.click("[data-lang=zh]")
	b.sees(`document.documentElement.lang === "zh-CN" && text("#phones h2") === "两部手机"`)
	b.click(".phone:nth-child(1) [role=switch]")
	b.sees(`phone(1).last === "你开启了截屏通知" && phone(2).last === "Alice 开启了截屏通知"`)
	b.sees(`phone(1).name === "Alice 的手机" && text("#update .offered") === "2.1.0update可更新到此版本"`)
	b.sees(`text("#wire [open] h3") === "请求"`)
	b.click(".examples button:nth-child(6)")
	b.sees(`text("#update tbody tr:nth-child(2)") === "2.1.0os要求系统版本：12 及以上；客户端：10.15.7"`)
	value[*string](b, `$("#update [name=os_version]").value = ""`)
	b.click("#update form button")
	b.sees(`text("#update tbody tr:nth-child(2)") === "2.1.0os-unknown要求系统版本：12 及以上；客户端：未知"`)
	b.sees(`$$("#update tbody td:last-child").every((e) => !/[a-z]{3}/.test(e.textContent.replace(/stable|loses drafts/, "")))`) // no English sentence
	b.sees(`detail("for OS version up to 10.15.7 and 11 to 12, and the client's is 13 or later") === "要求系统版本：不高于 10.15.7 或 11 到 12；客户端：13 及以上"`)
	b.click("[data-lang=en]")
	b.sees(`phone(1).last === "You switched the screen-capture notice on"`)
	b.click("[data-lang=zh]")
	b.run(chromedp.Reload())
	b.sees(`text("h1") === "试用 misc"`) // the choice stays
	value[*string](b, `localStorage.clear()`)
}

// testForeignNames sends what an object of JavaScript already has a property for, and
// values that are no text where the page shows text.
func testForeignNames(t *testing.T, b *tab) {
	b.sees(`phone(1).switch === "false" && text("#update .offered") !== ""`)
	base := value[string](b, "location.origin")
	post := func(endpoint, user, body string) {
		r := testhost.Must(http.NewRequestWithContext(t.Context(), "POST", base+"/misc/"+endpoint, strings.NewReader(body)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-User", user)
		response := testhost.Must(http.DefaultClient.Do(r))
		require.NoError(t, response.Body.Close())
	}
	var want []string
	for _, m := range [][3]string{
		{"X:Own", `{"title":{"toString":1}}`, `Bob{"title":{"toString":1}}`},
		{"X:Own", `{"content":["<b>"],"title":0}`, `Bob{"content":["<b>"],"title":0}`},
		{"X:Own", `{"title":null,"content":"as text"}`, "Bobas text"},
		{"X:Own", `"null"`, "Bobnull"},
		{"ST:ConNtf", `{"operation":"constructor"}`, `Bob{"operation":"constructor"}`},
		{"ST:ConNtf", `{"operation":{"toString":1}}`, `Bob{"operation":{"toString":1}}`},
		{"ST:ConNtf", `{"operation":"__proto__"}`, `Bob{"operation":"__proto__"}`},
	} {
		post("send_message", "bob", fmt.Sprintf(`{"conversationType":"PRIVATE","targetId":"kFpN4KiZn","objectName":%q,"content":%s}`, m[0], m[1]))
		want = append(want, m[2])
	}
	for _, name := range []string{"constructor", "toString", "__proto__"} {
		post("send_sc_msg", name, "{}")
		b.sees(fmt.Sprintf(`text("#wire .who") === %q`, name))
	}
	same := fmt.Sprintf(`phone(1).lines.join() === %q`, strings.Join(want, ","))
	b.sees(same)
	for _, language := range []string{"zh", "en"} {
		b.click("[data-lang=" + language + "]")
		b.sees(same + fmt.Sprintf(` && $("[data-lang=%s]").getAttribute("aria-pressed") === "true"`, language))
		b.sees(`$$("[data-t]").every((e) => e.textContent === t(e.dataset.t))`)
	}
	b.sees(`t("constructor") === "constructor" && t("{constructor} {x}") === "{constructor} {x}"`)
	b.click(".phone:nth-child(1) .send")
	b.sees(`phone(1).last.startsWith("Alice")`)
	value[*string](b, `localStorage.clear()`)
}

// testTooMany opens the page when the server already has all the streams of events that
// it lets be open.
func testTooMany(t *testing.T, chromium context.Context, base string) {
	for {
		r := testhost.Must(http.NewRequestWithContext(t.Context(), "GET", base+"/demo/events", nil))
		response := testhost.Must(http.DefaultClient.Do(r))
		defer response.Body.Close()
		if response.StatusCode == 503 {
			break
		}
		require.Equal(t, 200, response.StatusCode)
	}
	b := openTab(t, chromium, base, "en-US", 1280)
	b.sees(`text("#wire .problem").includes("open in too many")`)
	b.sees(`text("#update .offered") !== ""`) // the rest works
}

func testChinese(t *testing.T, b *tab) {
	b.sees(`document.documentElement.lang === "zh-CN" && text("h1") === "试用 misc"`)
	b.sees(`text("#update .offered") === "2.1.0update可更新到此版本"`)
	b.sees(`$$("[data-t]").every((e) => e.textContent)`)
}

func testWidths(t *testing.T, b *tab) {
	b.sees(`text("#update .offered") !== ""`)
	background := map[string]string{}
	for _, width := range []int64{360, 768, 1180, 1280, 1600, 1920} {
		for _, scheme := range []string{"light", "dark"} {
			b.run(chromedp.EmulateViewport(width, 900))
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			b.sees(fmt.Sprintf(`innerWidth === %d && document.documentElement.scrollWidth <= innerWidth`, width))
			b.sees(fmt.Sprintf(`($$(".phone")[0].offsetTop === $$(".phone")[1].offsetTop) === %t`, width > 360)) // side by side
			background[scheme] = value[string](b, `getComputedStyle(document.body).backgroundColor`)
		}
	}
	assert.NotEqual(t, background["light"], background["dark"])
}

func testReload(t *testing.T, b *tab) {
	b.click(".phone:nth-child(1) .send")
	b.sees(`phone(2).last === "AliceHere is the plan for Friday"`)
	b.click(".phone:nth-child(1) [role=switch]")
	b.sees(`phone(2).last === "Alice switched the screen-capture notice on"`)
	b.run(chromedp.Reload())
	b.sees(`phone(2).lines.join() === "AliceHere is the plan for Friday,Alice switched the screen-capture notice on" && phone(2).switch === "true"`)
	b.sees(`$$("#wire summary").some((s) => s.textContent.startsWith("POST/misc/send_message200Alice"))`)
}

func testRestart(t *testing.T, program string, chromium context.Context) {
	var base string
	var b *tab
	t.Run("the server ends", func(t *testing.T) { base = servePage(t, program) }) // finds a free port
	outer := t
	t.Run("the server stops", func(t *testing.T) {
		base = servePage(t, program, strings.TrimPrefix(base, "http://"))
		b = openTab(outer, chromium, base, "en-US", 1600)
		b.click(".phone:nth-child(1) .send")
		b.sees(`phone(2).last === "AliceHere is the plan for Friday" && text("#update .offered") !== "" && text(".facts") !== ""`)
	})
	b.click(".examples button:nth-child(2)")
	b.sees(`text("#update .result") === "The server does not answer" && $("#update table").hidden`)
	call(b, network.ClearBrowserCache, cdp.Empty{})
	value[*string](b, `void readMobile()`)
	b.sees(`text(".facts") === "The server does not answer"`)
	servePage(t, program, strings.TrimPrefix(base, "http://"))
	b.sees(`phone(2).last === "No messages yet" && text("#update .offered") !== "" && !text("#wire").includes("send_message")`)
}

// testOtherSites sends the requests that a browser would send for a page of another site.
func testOtherSites(t *testing.T, base string) {
	const set = `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":1}`
	want := func(status int, method, path, body string, header map[string]string) {
		ctx, cancel := context.WithCancel(t.Context()) // the event stream never ends
		defer cancel()
		r := testhost.Must(http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body)))
		for name, value := range header {
			r.Header.Set(name, value)
		}
		r.Host = header["Host"]
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-User", "alice")
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, status, response.StatusCode, "%s %s: %s", method, path, header)
		policy := response.Header.Get("Content-Security-Policy")
		assert.Regexp(t, `^default-src 'none'; .*frame-ancestors 'none'$`, policy, path)
		assert.NotContains(t, policy, "unsafe", path)
	}
	paths := []string{"/", "/app.js", "/misc/client_version", "/demo/world", "/demo/events", "/demo/explain?version=1.0.0"}
	for _, foreign := range []map[string]string{
		{"Host": "evil.example"}, {"Host": "evil.example:" + base[strings.LastIndex(base, ":")+1:]}, {"Host": "127.0.0.1.evil.example"},
		{"Origin": "http://evil.example"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "null"},
		{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
		{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
		{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
	} {
		for _, path := range append(paths, "/nothing") {
			want(403, "GET", path, "", foreign)
		}
		want(403, "POST", "/misc/set_screen_capture", set, foreign)
		want(403, "PUT", "/demo/releases", `{"releases":[]}`, foreign)
	}
	link := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	want(200, "GET", "/", "", link)
	want(403, "POST", "/", "", link)
	for _, path := range paths[1:] {
		want(403, "GET", path, "", link)
	}
	want(200, "POST", "/misc/get_screen_capture", set, nil)
	for _, allowed := range []map[string]string{nil, {"Host": "localhost:8585"}, {"Origin": base, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}} {
		for _, path := range paths {
			want(200, "GET", path, "", allowed)
		}
	}
}

// servePage starts the program and returns the URL that it serves.
func servePage(t *testing.T, program string, address ...string) string {
	t.Helper()
	cmd := exec.Command(program, "-listen", append(address, "127.0.0.1:0")[0])
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var log testkit.Log
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		assert.NoError(t, cmd.Wait(), log.String())
		assert.NotContains(t, log.String(), "quickstart:")
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, log.String())
	var base string
	_, err = fmt.Sscanf(line, "Open %s in a browser.", &base)
	require.NoError(t, err, line)
	return strings.TrimSuffix(base, "/")
}

// startChromium starts a browser that ends with the test, and returns its context.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	path := servers.Find("chromium")
	if path == "" {
		servers.NotInstalled(t, "chromium", "chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox) // there is no sandbox for root, and the page is our own
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

// A tab is a browser tab that shows the page.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// openTab opens base in a new tab. The test fails if anything is wrong in the
// console, or if a request would leave the machine.
func openTab(t *testing.T, chromium context.Context, base, language string, width int64) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium)
	var wrong testkit.Log
	t.Cleanup(func() {
		cancel()
		assert.Empty(t, wrong.String())
	})
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			fmt.Fprintln(&wrong, "exception:", e.ExceptionDetails)
		case *runtime.EventConsoleAPICalled:
			fmt.Fprintln(&wrong, "console:", e.Type, e.Args)
		case *cdplog.EventEntryAdded:
			// The browser itself logs each refusal that the page shows, and a server that stops.
			if !regexp.MustCompile("^Failed to load resource: (the server responded with a status of (40[^4]|503)|net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING))").MatchString(e.Entry.Text) {
				fmt.Fprintln(&wrong, "log:", e.Entry.Text, e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Hostname() != "127.0.0.1" {
				fmt.Fprintln(&wrong, "request:", e.Request.URL)
			}
		}
	}))
	b := &tab{t, ctx}
	call(b, network.Enable, network.EnableParams{})
	version, err := chromedp.CallBrowser(ctx, browser.GetVersion, cdp.Empty{})
	require.NoError(t, err)
	call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: strings.ReplaceAll(version.UserAgent, "Headless", ""), AcceptLanguage: language})
	b.run(chromedp.EmulateViewport(width, 1000), chromedp.Navigate(base))
	return b
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...))
}

// call runs a command of the browser's protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	require.NoError(b.t, err)
	return result
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS(selector)))
}

// sees waits until a condition in JavaScript holds.
func (b *tab) sees(condition string) {
	b.t.Helper()
	holds := func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		defer cancel()
		yes, err := chromedp.Run(ctx, onPage[bool](condition))
		return err == nil && yes
	}
	if !assert.Eventually(b.t, holds, testhost.Patience, 20*time.Millisecond, condition) {
		b.t.Fatalf("the page shows:\n%s", value[string](b, "document.body.innerText"))
	}
}

// value returns the value of an expression in JavaScript.
func value[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, onPage[T](expression))
	require.NoError(b.t, err, expression)
	return v
}

// onPage evaluates an expression, which may use the names declared here.
func onPage[T any](expression string) chromedp.Action[T] {
	return chromedp.Evaluate[T](`(() => {
		const $ = (s) => document.querySelector(s), $$ = (s) => [...document.querySelectorAll(s)];
		const text = (s) => $(s)?.textContent ?? "";
		const phone = (n) => {
			const root = $$(".phone")[n - 1], lines = [...root?.querySelectorAll(".chat p") ?? []].map((p) => p.textContent);
			return { lines, last: lines.at(-1), switch: root?.querySelector("[role=switch]").getAttribute("aria-checked"), name: root?.getAttribute("aria-label") };
		};
		return ` + expression + `; })()`)
}

// takePictures writes the pictures that the READMEs show.
func takePictures(t *testing.T, b *tab, name string) {
	b.sees(`$$("#update .offered").length === 1`)
	for _, selector := range []string{".phone:nth-child(1) .send", ".phone:nth-child(2) .send", ".phone:nth-child(1) [role=switch]", ".phone:nth-child(2) .shot"} {
		lines := value[int](b, `$$(".chat p:not(.empty)").length`)
		b.click(selector)
		b.sees(fmt.Sprintf(`$$(".chat p:not(.empty)").length === %d`, lines+2))
	}
	time.Sleep(time.Second) // until the flash of the screenshot and the switch have stopped moving
	require.NoError(t, os.MkdirAll("../../../docs/images", 0o755))
	take := func(file string, width int64, clip string) {
		b.run(chromedp.EmulateViewport(width, 1000))
		value[*string](b, `scrollTo(0, 0), document.activeElement.blur()`)
		edges := value[[]float64](b, clip)
		quality, beyond := int64(80), true
		shot := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Format: "webp", Quality: &quality, CaptureBeyondViewport: &beyond,
			Clip: &page.Viewport{Y: edges[0], Width: float64(width), Height: edges[1] - edges[0], Scale: 1440 / float64(width)},
		})
		require.NoError(t, os.WriteFile("../../../docs/images/"+file+"-"+name+".webp", shot.Data, 0o644))
	}
	take("page", 1440, `[0, $("#phones").getBoundingClientRect().bottom + 24]`)

	b.click(".steps li:nth-child(3) button")
	b.sees(`$(".steps li:nth-child(3) [aria-current=step]") !== null`)
	b.click("#rollout summary") // closes the editor
	take("rollout", 800, `[$("#rollout").getBoundingClientRect().top - 12, $("#rollout").getBoundingClientRect().bottom + 12]`)
}
