//go:build unix

package integration_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/testkit"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/sqlstore"
)

// BenchmarkBesideNode prints how many requests per second are answered by the
// handler in a bare net/http server, by examples/server, which logs, counts and
// limits each request, and by a server that uses Express and Sequelize. Each is a
// separate process. They share one MariaDB, with the tables of SealTalk's Node.js
// server, and are measured like the sides of BenchmarkRatios.
//
//	npm install --no-package-lock --prefix internal/integration/testdata/node
//	go test ./internal/integration -run '^$' -bench BesideNode -benchtime 1x
func BenchmarkBesideNode(b *testing.B) {
	d := newDatabase(b, kinds()[3])
	for i := range uint32(clients) {
		d.addFriend(b, 1, 2+i, 20)
		d.exec(b, `INSERT INTO "screen_statuses" ("operateId", "conversationType", "status", "createdAt", "updatedAt") VALUES (?, 1, 1, NOW(), NOW())`,
			"1_"+strconv.Itoa(2+int(i)))
	}
	versions, server := versionsDir(b), buildServer(b)
	port := strconv.Itoa(d.server.port)
	handler := startProgram(b, []string{os.Args[0], port, d.name}, func(free string) []string {
		return []string{childEnv + "=handler", "PORT=" + free}
	})
	whole := startProgram(b, []string{server}, func(free string) []string {
		return []string{"MISC_ADDR=127.0.0.1:" + free, "MISC_DB=mysql:root@tcp(127.0.0.1:" + port + ")/" + d.name,
			"MISC_VERSIONS=" + versions, "MISC_N3D_KEY=" + misctest.Key,
			"MISC_USER_LIMIT=1000000", "MISC_GROUP_QUOTA=3000000", "MISC_PRIVATE_QUOTA=3000000"}
	})
	node := startProgram(b, []string{"node", "testdata/node/server.js"}, func(free string) []string {
		return []string{"NODE_ENV=production", "PORT=" + free, "DB_PORT=" + port, "DB_NAME=" + d.name,
			"VERSIONS=" + versions, "N3D_KEY=" + misctest.Key}
	})
	login := map[program]string{node: "Cookie: " + node.login(b), handler: "User: " + misctest.ID(1), whole: "Cookie: " + whole.login(b)}
	fmt.Printf("\n| case | Express and Sequelize | misc | ratio |\n|---|---|---|---|\n")
	for _, c := range []struct{ path, query, answer string }{
		{"latest_update", "?version=1.0.0&platform=darwin", releaseJSON},
		{"client_version", "", clientsJSON},
		{"mobile_version", "", `{"code":200,"result":` + clientsJSON + `}`},
		{"get_screen_capture", "", `{"code":200,"result":{"status":1}}`},
	} {
		side := func(p program) func() float64 {
			return load(b, p.address, func(client int) string {
				if c.path == "get_screen_capture" {
					return postBy(login[p], c.path, 2+uint32(client), "")
				}
				return "GET /misc/" + c.path + c.query + " HTTP/1.1\r\nHost: misc.example.com\r\n\r\n"
			}, c.answer)
		}
		of, ratios := measure(side(node), side(handler), side(whole))
		for i, name := range []string{"the handler", "examples/server"} {
			fmt.Printf("| %s, %s | %s | %s | %.1f |\n", c.path, name, rate(of[0]), rate(of[i+1]), ratios[i+1])
		}
	}
	b.ReportMetric(0, "ns/op")
}

// serveHandler is the child process of BenchmarkBesideNode: a server that has only
// the handler.
func serveHandler(mariaDBPort, database string) {
	port := must(strconv.Atoi(mariaDBPort))
	db := openMariaDB(port, database, direct)
	db.SetMaxIdleConns(clients)
	store := must(sqlstore.New(context.Background(), db, sqlstore.MySQL, sqlstore.Config{Codec: must(n3d.New(misctest.Key))}))
	panic(http.ListenAndServe(net.JoinHostPort("127.0.0.1", os.Getenv("PORT")), over(misc.Config{Relations: store, Captures: store, Related: store, Messenger: noCloud{}})))
}

// versionsDir returns a directory with the versions that newHost serves.
func versionsDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"squirrel.json": releaseJSON, "client_version.json": clientsJSON, "demo_square.json": squareJSON} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	return dir
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// A program is a server in a separate process.
type program struct {
	address string
	pid     int
}

// startProgram starts a program and returns when it accepts connections on the port
// that its environment names.
func startProgram(b testing.TB, command []string, env func(port string) []string) program {
	free, err := freePort()
	require.NoError(b, err)
	p := program{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(free))}
	var log testkit.Log
	cmd := exec.CommandContext(b.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env(strconv.Itoa(free))...)
	cmd.Stderr = &log
	require.NoError(b, cmd.Start())
	p.pid = cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.Cleanup(func() { <-ended }) // the context ends it
	until(b, command[0]+" listens", func() bool {
		select {
		case err := <-ended:
			ended <- err
			require.NoError(b, err, log.String())
		default:
		}
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return p
}

// login returns the cookie of user 1.
func (p program) login(b *testing.B) string {
	resp, err := http.Post("http://"+p.address+"/demo/login", "application/json", strings.NewReader(`{"userId":1}`))
	require.NoError(b, err)
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	require.Len(b, resp.Cookies(), 1)
	return resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
}

// postBy returns a request about a friend, with the header that logs the user in.
func postBy(login, path string, friend uint32, fields string) string {
	body := `{"conversationType":1,"targetId":"` + misctest.ID(friend) + `"` + fields + `}`
	return fmt.Sprintf("POST /misc/%s HTTP/1.1\r\nHost: misc.example.com\r\n%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, login, len(body), body)
}
