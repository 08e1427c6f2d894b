// Package integration holds the tests of this library on real databases and
// inside real routers. It is a module of its own, that nobody imports, so that
// a host of the library pays for no driver and no router.
//
// The tests start MariaDB and PostgreSQL themselves, on free ports of
// 127.0.0.1 and in temporary folders, and stop them afterwards. Where the
// programs are missing their tests are skipped, or fail if the environment says
// CI=true. On Debian they come with
//
//	apt-get install mariadb-server postgresql
package integration
