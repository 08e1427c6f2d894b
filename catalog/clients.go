package catalog

import "github.com/sealtalk-go/misc"

// ParseClientVersions parses versions in the form of SealTalk's
// client_version.json: an object with the keys iOS and Android. Each is an
// object with the keys version, build and url, for which the rules of
// [misc.ClientVersion] hold. Other keys go to Extra. The error joins all
// problems, each with its key.
func ParseClientVersions(data []byte) (*misc.ClientVersions, error) {
	v, found := parseClientVersions(data)
	return v.good, found.join("catalog: ", data)
}

func parseClientVersions(data []byte) (versions parsed[misc.ClientVersions], _ problems) {
	o := parseFile(data)
	if o.found != nil {
		return versions, o.found
	}
	f := misc.ClientVersionsFields{IOS: o.client("iOS"), Android: o.client("Android"), Extra: o.extra()}
	if o.found != nil {
		return versions, o.found
	}
	v, err := misc.NewClientVersions(f)
	return parsed[misc.ClientVersions]{good: v, version: "iOS " + f.IOS.Version + ", Android " + f.Android.Version}, o.found.add(err)
}

func (o *object) client(platform string) misc.ClientVersion {
	value, given := o.take(platform)
	if !given {
		o.add(platform, "required: clients cannot do without it")
		return misc.ClientVersion{}
	}
	path := platform + "."
	c := parseObject(value, path)
	var v misc.ClientVersion
	if c.found == nil {
		v = misc.ClientVersion{Version: c.checked("version", path+"version"), Build: c.checked("build", path+"build"), URL: c.checked("url", path+"url"), Extra: c.extra()}
	}
	o.found = o.found.with(c.found...)
	return v
}
