package session_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/session"
)

func ExampleNew() {
	codec, err := n3d.New("11EdDIaqpcim") // the old server's key for public ids
	if err != nil {
		log.Fatal(err)
	}
	reader, err := session.New(session.Config{
		Format: session.Java2020,
		Key:    "zsyy2026", // the old server's key for cookies; from the environment, say
		Codec:  codec,
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = httpapi.Config{CurrentUser: reader.CurrentUser} // and the Service, for httpapi.New

	r := httptest.NewRequest(http.MethodPost, "/misc/send_message", nil)
	fmt.Println(reader.CurrentUser(r))
	r.Header.Set("Cookie", "rong_auth_cookie=q1HbI20+gJvo2pk1E99a9SLQR1LQbPQRO577lnnsmb0=; Path=/; HttpOnly")
	fmt.Println(reader.CurrentUser(r))
	// Output:
	//  session: no valid cookie rong_auth_cookie: httpapi: not logged in
	// kFpN4KiZn <nil>
}

// New reports all problems at once.
func ExampleNew_invalid() {
	_, err := session.New(session.Config{
		Format: session.Java2025,
		Cookie: "st_cookie=",    // right: st_cookie
		Key:    "zsyy2026\n",    // right: without the newline of the file that it is from
		MaxAge: -24 * time.Hour, // right: 7 * 24 * time.Hour, or 0 for no limit
	})
	fmt.Println(err)
	// Output:
	// session: Config.Cookie must be the name of a cookie, such as rong_auth_cookie
	// session: Config.Key must be UTF-8 without line breaks, and not empty
	// session: Config.Codec is required
	// session: Config.MaxAge must not be negative
	// session: Config.Tokens is required with Java2025, and must not hold a nil pointer
}
