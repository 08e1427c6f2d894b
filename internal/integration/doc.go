// Package integration holds the tests of this library on real databases, inside
// real routers and in a real browser. It is a module of its own, which nobody
// imports, so that a server that uses the library pays for no driver and no router.
//
// The first word of a file's name is its topic:
//
//	db_       sqlstore on MariaDB, PostgreSQL and SQLite
//	http_     httpapi: its contract, routers, hostile bodies, failing parts
//	cloud_    rongcloud and a chat cloud that misbehaves
//	catalog_  catalog while its files change, and the schema of releases.json
//	page_     the page of examples/quickstart, in a browser
//	docs_     the README and the pages in docs, run or compared with the sources
//	bench_    benchmarks and the soak test
//	hosts_    docs/mounting.md: its programs, custom Relations and stores
//
// db_server_test.go starts the database servers, db_open_test.go makes
// databases in them, and http_faults_test.go has the host that most tests ask.
//
// The code that docs/mounting.md shows is in the folder hosts.
//
// The tests start MariaDB, PostgreSQL and Redis themselves, on free ports of
// 127.0.0.1 and in temporary folders, and stop them afterwards. Where the
// programs are missing their tests are skipped, or fail if the environment says
// CI=true. On Debian they come with
//
//	apt-get install mariadb-server postgresql redis-server
//
// The same goes for the browser, Debian's chromium. The pictures of the page in
// the READMEs, docs/images, are written by
//
//	go test ./internal/integration -run TestPage -pictures
package integration
