//go:build openapiclient

// Openapiclient asks every endpoint of a running examples/server through the
// client that oapi-codegen makes of httpapi/openapi.yaml. That client is made
// anew by the test that runs this program, and stands in no folder.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	_ "github.com/oapi-codegen/runtime" // which the client imports
)

func main() {
	base, friend := os.Args[1], os.Args[2]
	resp, err := http.Post(base+"/demo/login", "application/json", bytes.NewReader([]byte(`{"userId":1}`)))
	if err != nil || len(resp.Cookies()) != 1 {
		log.Fatal("login: ", resp, err)
	}
	login := WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.AddCookie(resp.Cookies()[0])
		return nil
	})
	c := must(NewClientWithResponses(base, login))
	ctx := context.Background()

	platform := "darwin"
	latest := must(c.LatestUpdateWithResponse(ctx, &LatestUpdateParams{Version: "1.0.0", Platform: &platform}))
	fmt.Println("latest_update", latest.JSON200.Version, latest.Headers200.CacheControl)
	fmt.Println("latest_update", must(c.LatestUpdateWithResponse(ctx, &LatestUpdateParams{Version: "9.0.0"})).StatusCode())
	fmt.Println("latest_update", must(c.LatestUpdateWithResponse(ctx, &LatestUpdateParams{Version: "1"})).JSON400.Message)
	fmt.Println("latest_update", must(c.LatestUpdateHeadWithResponse(ctx, &LatestUpdateHeadParams{Version: "1.0.0"})).StatusCode())

	mobile := must(c.ClientVersionWithResponse(ctx, &ClientVersionParams{}))
	fmt.Println("client_version", mobile.JSON200.IOS.Build)
	fmt.Println("client_version", must(c.ClientVersionWithResponse(ctx, &ClientVersionParams{IfNoneMatch: &mobile.Headers200.ETag})).StatusCode())
	fmt.Println("mobile_version", must(c.MobileVersionWithResponse(ctx, &MobileVersionParams{})).JSON200.Result.Android.Version)
	square := must(c.DemoSquareWithResponse(ctx, &DemoSquareParams{})).JSON200.Result
	fmt.Println("demo_square", len(square), square[0].Type)

	var text, object SendMessageJSONBody_Content
	check(text.FromSendMessageJSONBodyContent0("hello"))
	check(object.FromSendMessageJSONBodyContent1(map[string]any{"title": "news", "extra": map[string]any{"a": 1}}))
	for name, content := range map[string]SendMessageJSONBody_Content{"RC:TxtMsg": text, "RC:ImgTextMsg": object} {
		sent := must(c.SendMessageWithResponse(ctx, SendMessageJSONRequestBody{ConversationType: "PRIVATE", TargetId: friend, ObjectName: name, Content: content}))
		fmt.Println("send_message", sent.JSON200.Code)
	}
	fmt.Println("set_screen_capture", must(c.SetScreenCaptureWithResponse(ctx, SetScreenCaptureJSONRequestBody{ConversationType: 1, TargetId: friend, NoticeStatus: 1})).JSON200.Code)
	var private AnyConversationType
	check(private.FromAnyConversationType0(1))
	fmt.Println("get_screen_capture", must(c.GetScreenCaptureWithResponse(ctx, GetScreenCaptureJSONRequestBody{ConversationType: private, TargetId: friend})).JSON200.Result.Status)
	fmt.Println("send_sc_msg", must(c.SendScreenCaptureNoticeWithResponse(ctx, SendScreenCaptureNoticeJSONRequestBody{ConversationType: 1, TargetId: friend})).JSON200.Code)
	fmt.Println("send_sc_msg", must(c.SendScreenCaptureNoticeWithResponse(ctx, SendScreenCaptureNoticeJSONRequestBody{ConversationType: 3, TargetId: friend})).JSON403.Message)
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
