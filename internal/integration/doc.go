// Package integration and the packages in its directories test this library with real
// databases, real routers, a real browser and generated clients: what a fake cannot
// show. The rules are tested in the library's own packages. This is a separate module,
// which nobody imports, so that servers that use the library do not depend on any driver
// or router.
//
//	db/       sqlstore on MariaDB, PostgreSQL and SQLite, and the store on Redis; the soak test
//	cluster/  sqlstore on Galera, on PostgreSQL with a standby, and behind PgBouncer and HAProxy
//	http/     httpapi: its OpenAPI document, a generated client, routers, clients that disconnect
//	cloud/    rongcloud and a chat cloud that misbehaves on its connections
//	catalog/  catalog on files of a disk, and the schema of releases.json
//	page/     the page of examples/quickstart, in a browser
//	docs/     the README and the pages in docs, run or compared with the sources
//	hosts/    the programs and implementations that docs/mounting.md shows, and their tests
//	bench/    benchmarks
//
// Two packages are for these tests: testhost has the host that they send requests to,
// and servers starts database servers and programs.
//
// MariaDB, PostgreSQL, Redis and the programs around them start when a test needs them,
// on free ports of 127.0.0.1 and in temporary directories, and are stopped afterwards. If
// one of these programs is not installed, its tests are skipped, or fail if the
// environment variable CI is true. On Debian, install the programs with
//
//	apt-get install mariadb-server galera-4 postgresql pgbouncer haproxy redis-server
//
// The same applies to the browser, Debian's chromium. The pictures of the page in the
// READMEs, which are in docs/images, are written by
//
//	go test ./internal/integration/page -pictures
package integration
