module github.com/sealtalk-go/misc

go 1.25.0

require github.com/hashicorp/go-version v1.9.0

require (
	github.com/stretchr/testify v1.12.1
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
