package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/rongcloud"
)

//go:embed versions
var files embed.FS

// n3dKey is the demo's key. A deployment has its own key, and keeps it.
const n3dKey = "11EdDIaqpcim"

// host is a server with users, friends and a group of its own.
type host struct {
	mux    *http.ServeMux
	cloud  *misctest.Cloud // stands in for RongCloud
	public map[string]string
	server *http.Server // of cloud
	source *catalog.Catalog
	dir    string // of the catalog
}

// newHost returns a host with the version files in versions. Unless releases is nil,
// it is served as releases.json instead of squirrel.json. Requests to the cloud go
// through transport, or through that of package rongcloud if transport is nil.
func newHost(releases []byte, transport http.RoundTripper) (_ *host, err error) {
	h := &host{mux: http.NewServeMux()}
	defer func() {
		if err != nil {
			h.close()
		}
	}()

	// The users and the group that this server would have in its database, and
	// the public ids that everybody else knows them by.
	codec, err := n3d.New(n3dKey)
	if err != nil {
		return nil, err
	}
	h.public = map[string]string{}
	for name, id := range map[string]uint32{"alice": 1, "bob": 2, "mallory": 3, "team": 7} {
		if h.public[name], err = codec.Encode(id); err != nil {
			return nil, err
		}
	}
	relations := relations{codec}

	// The version files and the square. A server has them in its own directory,
	// where they may change at any time.
	if h.dir, err = os.MkdirTemp("", "quickstart"); err != nil {
		return nil, err
	}
	if err := os.CopyFS(h.dir, files); err != nil {
		return nil, err
	}
	versions := filepath.Join(h.dir, "versions")
	if releases != nil {
		err := errors.Join(
			os.Remove(filepath.Join(versions, "squirrel.json")),
			os.WriteFile(filepath.Join(versions, "releases.json"), releases, 0o600))
		if err != nil {
			return nil, err
		}
	}
	if h.source, err = catalog.Open(os.DirFS(versions), catalog.Config{Decided: decided}); err != nil {
		return nil, err
	}

	// A stand-in for RongCloud, which does what this program needs. A real server
	// leaves this part out, and names its region: rongcloud.Config{…, Region:
	// rongcloud.Beijing}.
	secret := rand.Text()
	h.cloud = misctest.NewCloud("demo", secret)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h.server = serve(listener, h.cloud)
	messenger, err := rongcloud.New(rongcloud.Config{
		AppKey:     "demo",
		AppSecret:  secret,
		Region:     rongcloud.Region("http://" + listener.Addr().String()),
		HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		return nil, err
	}

	// This is the library: four interfaces, one handler.
	service, err := misc.New(misc.Config{
		Versions:  h.source,
		Relations: relations,
		Captures:  misc.NewMemoryStore(),
		Messenger: messenger,
		Square:    h.source,
	})
	if err != nil {
		return nil, err
	}
	handler, err := httpapi.New(httpapi.Config{Service: service, CurrentUser: h.currentUser})
	if err != nil {
		return nil, err
	}
	h.mux.Handle("/misc/", handler)
	return h, nil
}

// relations answers by the numbers that a database would have. The errors of the
// codec say which id is invalid, and are returned unchanged.
type relations struct{ codec *n3d.Codec }

func (r relations) AreFriends(_ context.Context, userID, otherID string) (bool, error) {
	user, other, err := r.decode(userID, otherID)
	return user != other && max(user, other) <= 2, err // 1 and 2
}

func (r relations) IsGroupMember(_ context.Context, userID, groupID string) (bool, error) {
	user, group, err := r.decode(userID, groupID)
	return user <= 2 && group == 7, err
}

func (r relations) decode(a, b string) (uint32, uint32, error) {
	x, errX := r.codec.Decode(a)
	y, errY := r.codec.Decode(b)
	return x, y, errors.Join(errX, errY)
}

// currentUser trusts the header X-User, which names a user. A real server looks
// up its session instead.
func (h *host) currentUser(r *http.Request) (string, error) {
	name := r.Header.Get("X-User")
	if name == "" || name == "team" {
		return "", httpapi.ErrNotLoggedIn
	}
	id, ok := h.public[name]
	if !ok {
		return "", errors.Join(httpapi.ErrNotLoggedIn, errors.New("no such user"))
	}
	return id, nil
}

func (h *host) close() {
	if h.server != nil {
		_ = h.server.Close() // nothing is left to lose
	}
	_ = os.RemoveAll(h.dir)
}
