// Package integration tests this library with real databases, real routers and
// a real browser. It is a separate module, which nobody imports, so that servers
// that use the library do not depend on any driver or router.
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
// db_server_test.go starts the database servers, db_open_test.go creates
// databases on them, and http_faults_test.go has the host that most tests send
// requests to.
//
// The code that docs/mounting.md shows is in the directory hosts.
//
// The tests start MariaDB, PostgreSQL and Redis themselves, on free ports of
// 127.0.0.1 and in temporary directories, and stop them afterwards. If one of
// these programs is not installed, its tests are skipped, or fail if the
// environment variable CI is true. On Debian, install the programs with
//
//	apt-get install mariadb-server postgresql redis-server
//
// The same applies to the browser, Debian's chromium. The pictures of the page in
// the READMEs, which are in docs/images, are written by
//
//	go test ./internal/integration -run TestPage -pictures
package integration
