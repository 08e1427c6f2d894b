package catalog

import "github.com/sealtalk-go/misc"

// ParseRelease reads a release in the form of SealTalk's squirrel.json: an
// object with the keys version, url, name, notes and pub_date, whose values are
// those of [misc.ReleaseFields], and any others. The error joins every problem,
// each with its key.
func ParseRelease(data []byte) (*misc.Release, error) {
	r, _, found := parseRelease(data)
	return r, found.join("catalog: ")
}

func parseRelease(data []byte) (*misc.Release, string, problems) {
	o := parseObject(data, "")
	if o.found != nil {
		return nil, "", o.found
	}
	r, err := misc.NewRelease(misc.ReleaseFields{
		Version: o.text("version"),
		URL:     o.text("url"),
		Name:    o.text("name"),
		Notes:   o.text("notes"),
		PubDate: o.text("pub_date"),
		Extra:   o.rest,
	})
	if found := o.found.add(err); found != nil {
		return nil, "", found
	}
	return r, r.Version(), nil
}
