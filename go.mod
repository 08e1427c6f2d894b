module github.com/sealtalk-go/misc

go 1.25.0

require github.com/hashicorp/go-version v1.9.0
