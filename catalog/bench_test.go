package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

// BenchmarkChoose chooses from 100 releases with four builds each. The first
// client is offered the newest one. The second is outside every rollout except that
// of the oldest release, and each rollout costs a hash.
func BenchmarkChoose(b *testing.B) {
	var all []string
	for i := range 100 {
		var builds []string
		for _, fits := range []string{`"platform":"darwin","arch":"ia32"`, `"platform":"darwin","arch":"universal","min_os":"12"`, `"platform":"win32"`, `"platform":"linux"`} {
			builds = append(builds, fmt.Sprintf(`{%s,"url":"https://example.com/%d.zip"}`, fits, i))
		}
		all = append(all, fmt.Sprintf(`{"version":"2.0.%d","rollout":%g,"builds":[%s]}`, i, max(0.01, 100-100*float64(min(i, 1))), strings.Join(builds, ",")))
	}
	oldest := `{"minimum":"1.5.0","releases":[` + strings.Join(all, ",") + `]}`
	for _, bb := range []struct{ name, file string }{
		{"the newest", strings.ReplaceAll(oldest, `"rollout":0.01,`, "")},
		{"the oldest, 99 rollouts later", oldest},
	} {
		s, err := catalog.ParseReleases([]byte(bb.file))
		require.NoError(b, err)
		q := misc.UpdateQuery{Version: version(b, "1.0.0"), Platform: "darwin", Arch: "arm64", OSVersion: "14.4", ClientID: "6f1f0c2e-3a5b-4a57-9a0e-0d6a3c1b7e55"}
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s.Choose(q).Release == nil {
					b.Fatal("no release")
				}
			}
		})
	}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if _, err := catalog.ParseReleases([]byte(oldest)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
