package rongcloud_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
)

func ExampleNew() {
	client, err := rongcloud.New(rongcloud.Config{
		AppKey:    "your-app-key",
		AppSecret: "your-app-secret", // from the environment, say
		Region:    rongcloud.Singapore,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = misc.Config{Messenger: client} // and the other three, for misc.New
}

// New reports all problems at once.
func ExampleNew_invalid() {
	_, err := rongcloud.New(rongcloud.Config{
		AppKey:    "your-app-key",
		AppSecret: "your-app-secret\n",            // right: without the newline of the file that it is from
		Region:    "chat.example.com",             // right: https://chat.example.com
		Backup:    "https://chat-b.example.com/?", // right: https://chat-b.example.com
		Timeout:   -time.Second,                   // right: 5 * time.Second, or 0 for 8 seconds
	})
	fmt.Println(err)
	// Output:
	// rongcloud: Config.AppSecret must be printable ASCII without spaces, and not empty
	// rongcloud: Config.Region must be one of the constants or an http(s) URL without user, query or fragment
	// rongcloud: Config.Backup must be an http(s) URL without user, query or fragment
	// rongcloud: Config.Timeout must not be negative
}

// A private cloud, here played by misctest.Cloud, has hosts of its own.
func ExampleClient_Send() {
	cloud := misctest.NewCloud("app-key", "app-secret")
	server := httptest.NewServer(cloud)
	defer server.Close()

	client, err := rongcloud.New(rongcloud.Config{
		AppKey:    "app-key",
		AppSecret: "app-secret",
		Region:    rongcloud.Region(server.URL),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()

	err = client.Send(context.Background(), misc.Message{
		Type:       misc.Private,
		From:       "alice",
		To:         "bob",
		ObjectName: "RC:TxtMsg",
		Content:    `{"content":"hello"}`,
	})
	var limited *rongcloud.Error
	if errors.Is(err, misc.ErrRateLimited) && errors.As(err, &limited) {
		fmt.Println("again in", limited.RetryAfter())
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cloud.Delivered()[0].Content)
	// Output: {"content":"hello"}
}
