package sqlstore

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The statements that make the tables.
var (
	//go:embed mysql.sql
	mysqlSchema string
	//go:embed postgres.sql
	postgresSchema string
	//go:embed sqlite.sql
	sqliteSchema string
)

// A dialect is how the package talks to one kind of database.
type dialect struct {
	schema string
	// catalogue lists the columns of the tables that exist: table, column,
	// whether the upsert can rely on it (for operateId), the user's privileges,
	// and why a set would be acknowledged and lost.
	catalogue       string
	fold            func(column string) string // maps names that the database considers equal to one form
	capture         string                     // reads a setting
	setCapture      string
	friends, member string
	token           string // reads a row of login_token
	configValue     string // reads a value of config_list
	isCurrent       string // the condition on group_members, if it has isDeleted
	check           string // reads a setting; returns why the database takes no writes, or fails
	time            func(time.Time) any
	oneWriter       bool // the database waits for another writer by sleeping
}

// The statements of MySQL and SQLite.
const (
	capture     = `SELECT status FROM screen_statuses WHERE operateId = ?`
	friends     = `SELECT COUNT(*) FROM friendships WHERE userId = ? AND friendId = ? AND status = 20`
	member      = `SELECT COUNT(*) FROM group_members WHERE groupId = ? AND memberId = ?`
	token       = `SELECT user_id, login_time FROM login_token WHERE id = ?`
	configValue = `SELECT att_value FROM config_list WHERE att_key = ?`
	isCurrent   = ` AND isDeleted = 0`
	insert      = `INSERT INTO screen_statuses (operateId, conversationType, status, createdAt, updatedAt) VALUES (?, ?, ?, ?, ?)`
)

// access returns the statement that asks for a relation, with two arguments, and
// for a setting.
func (d dialect) access(relation string) string {
	return "SELECT (" + relation + "), (" + strings.ReplaceAll(d.capture, "$1", "$3") + ")"
}

func dialectOf(d Dialect) (dialect, error) {
	dialect, ok := dialects[d]
	if !ok {
		return dialect, fmt.Errorf("sqlstore: dialect %q is unknown: use %s, %s or %s", d, MySQL, PostgreSQL, SQLite)
	}
	return dialect, nil
}

var dialects = map[Dialect]dialect{MySQL: {
	schema: mysqlSchema,
	// ON DUPLICATE KEY UPDATE acts on every unique key. One that has neither
	// the whole of operateId nor a column that is not written, such as an
	// automatic id, would let conversations change each other's setting. The
	// server checks the user's privileges itself when it prepares.
	catalogue: `SELECT table_name, column_name, COALESCE((
			SELECT MAX(k.whole = 1 AND k.parts = 1) AND MIN(k.whole = 1 OR k.unwritten > 0) FROM (
				SELECT COUNT(*) AS parts, SUM(column_name = 'operateId' AND sub_part IS NULL) AS whole,
					SUM(column_name NOT IN ('operateId', 'conversationType', 'status', 'createdAt', 'updatedAt')) AS unwritten
				FROM information_schema.statistics
				WHERE table_schema = DATABASE() AND table_name = 'screen_statuses' AND non_unique = 0 GROUP BY index_name) k
		), 0), 'SELECT, INSERT, UPDATE', CASE
			WHEN table_name = 'screen_statuses' AND column_name = 'operateId'
				AND (NOT (data_type IN ('char', 'varchar', 'varbinary') OR data_type LIKE '%text') OR character_maximum_length < 21)
				THEN 'screen_statuses.operateId must be CHAR or VARCHAR of at least 21 characters: other types pad or cut what is written'
			WHEN table_name = 'screen_statuses' AND column_name = 'status' AND EXISTS (
				SELECT 1 FROM information_schema.tables t JOIN information_schema.engines e ON e.engine = t.engine
				WHERE t.table_schema = DATABASE() AND t.table_name = 'screen_statuses' AND e.transactions = 'NO')
				THEN 'screen_statuses must use InnoDB: an engine without transactions loses rows, and a cluster does not replicate it'
			WHEN @@autocommit = 0 THEN 'autocommit must be on: without it, no set is committed, and reads do not see those of others'
			ELSE '' END
		FROM information_schema.columns
		WHERE table_schema = DATABASE() AND table_name IN ('screen_statuses', 'friendships', 'group_members', 'login_token', 'config_list')`,
	fold:        strings.ToLower,
	capture:     capture,
	setCapture:  insert + ` ON DUPLICATE KEY UPDATE status = ?, updatedAt = ?`,
	friends:     friends,
	member:      member,
	token:       token,
	configValue: configValue,
	isCurrent:   isCurrent,
	// MySQL has read_only on wherever it has super_read_only on. MariaDB alone
	// runs what is in the comment, and has wsrep_on on a node of a Galera cluster.
	check: `SELECT CONCAT_WS(', ', IF(CONCAT(@@read_only) IN ('0', 'OFF'), NULL, 'read_only is on'),
			IF(CONCAT(@@innodb_read_only) IN ('0', 'OFF'), NULL, 'innodb_read_only is on')
			/*M! , (
				SELECT 'transaction_read_only is on' FROM information_schema.session_variables
				WHERE variable_name IN ('TX_READ_ONLY', 'TRANSACTION_READ_ONLY') AND variable_value = 'ON' LIMIT 1
			), (
				SELECT GROUP_CONCAT(LOWER(s.variable_name), ' is ', s.variable_value ORDER BY s.variable_name SEPARATOR ', ')
				FROM information_schema.global_status s, information_schema.global_variables v
				WHERE v.variable_name = 'WSREP_ON' AND v.variable_value = 'ON' AND (
					s.variable_name = 'WSREP_READY' AND s.variable_value <> 'ON'
					OR s.variable_name = 'WSREP_CLUSTER_STATUS' AND s.variable_value <> 'Primary')) */
		) FROM (SELECT COUNT(*) FROM screen_statuses WHERE operateId = '') t`,
	// Text, since drivers convert a time to the zone of the connection.
	time: func(t time.Time) any { return t.In(time.FixedZone("", 8*60*60)).Format(time.DateTime) },
}, PostgreSQL: {
	schema: postgresSchema,
	// to_regclass finds a table as the statements do, along search_path.
	catalogue: `SELECT c.relname, a.attname,
		COALESCE((SELECT bool_and(i.indimmediate) FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
			AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum), false),
		concat_ws(', ', CASE WHEN has_column_privilege(c.oid, a.attnum, 'SELECT') THEN 'SELECT' END,
			CASE WHEN has_column_privilege(c.oid, a.attnum, 'INSERT') THEN 'INSERT' END,
			CASE WHEN has_column_privilege(c.oid, a.attnum, 'UPDATE') THEN 'UPDATE' END),
		CASE WHEN c.relname = 'screen_statuses' AND c.relpersistence <> 'p'
			THEN 'screen_statuses must not be UNLOGGED or TEMPORARY: a crash empties it, and no standby has it' ELSE '' END
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.oid IN (to_regclass('screen_statuses'), to_regclass('friendships'), to_regclass('group_members'), to_regclass('login_token'), to_regclass('config_list'))
		AND a.attnum > 0 AND NOT a.attisdropped`,
	fold: func(column string) string { return column },
	// Numbers are compared and read as bigint: the columns of a deployment may be
	// narrower than an id, and change their type while statements are prepared.
	capture: `SELECT "status"::bigint FROM screen_statuses WHERE "operateId" = $1`,
	setCapture: `INSERT INTO screen_statuses ("operateId", "conversationType", "status", "createdAt", "updatedAt")
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT ("operateId") DO UPDATE SET "status" = $6, "updatedAt" = $7`,
	friends:     `SELECT COUNT(*) FROM friendships WHERE "userId" = $1::bigint AND "friendId" = $2::bigint AND "status" = 20`,
	member:      `SELECT COUNT(*) FROM group_members WHERE "groupId" = $1::bigint AND "memberId" = $2::bigint`,
	token:       `SELECT user_id, login_time FROM login_token WHERE id = $1::bigint`,
	configValue: `SELECT att_value FROM config_list WHERE att_key = $1`,
	isCurrent:   ` AND "isDeleted"::integer = 0`, // a number or a boolean
	check: `SELECT concat_ws(', ', CASE WHEN pg_is_in_recovery() THEN 'it is a standby' END,
			CASE WHEN current_setting('transaction_read_only') = 'on' THEN 'transaction_read_only is on' END)
		FROM (SELECT COUNT(*) FROM screen_statuses WHERE "operateId" = '') t`,
	time: func(t time.Time) any { return t.UTC() },
}, SQLite: {
	schema: sqliteSchema,
	// SQLite does not prepare the upsert without the unique key.
	catalogue: `SELECT lower(m.name), c.name, m.type = 'table', 'SELECT, INSERT, UPDATE', ''
		FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type IN ('table', 'view') AND lower(m.name) IN ('screen_statuses', 'friendships', 'group_members', 'login_token', 'config_list')`,
	fold:        strings.ToLower,
	capture:     capture,
	setCapture:  insert + ` ON CONFLICT (operateId) DO UPDATE SET status = ?, updatedAt = ?`,
	friends:     friends,
	member:      member,
	token:       token,
	configValue: configValue,
	isCurrent:   isCurrent,
	// It finds no row, and fails without the right to write the file.
	check:     `UPDATE screen_statuses SET status = status WHERE operateId = ''`,
	time:      func(t time.Time) any { return t.UTC().Format(time.DateTime) },
	oneWriter: true,
}}

// A table is one of SealTalk's, with the columns that the statements use and
// the privileges that they need on each.
type table struct {
	name    string
	columns []column
}

// tables are those of a Store.
var tables = []table{
	{"screen_statuses", []column{
		{"operateId", "SELECT, INSERT"}, {"conversationType", "INSERT"}, {"status", "SELECT, INSERT, UPDATE"},
		{"createdAt", "INSERT"}, {"updatedAt", "INSERT, UPDATE"},
	}},
	{"friendships", []column{{"userId", "SELECT"}, {"friendId", "SELECT"}, {"status", "SELECT"}}},
	{"group_members", []column{{"groupId", "SELECT"}, {"memberId", "SELECT"}, {"isDeleted", "SELECT"}}},
}

type column struct{ name, privileges string }

// create returns the statement that makes a table.
func (d dialect) create(table string) string {
	const create = "CREATE TABLE IF NOT EXISTS "
	_, statement, _ := strings.Cut(d.schema, create+table+" ")
	statement, _, _ = strings.Cut(statement, ";")
	return create + table + " " + statement
}

// Migrate creates the tables that the database does not have, with the columns
// that this package needs and few others; add those that your server needs.
// group_members has no column isDeleted: if a user leaves a group, delete the
// row. The statements are in the files mysql.sql, postgres.sql and sqlite.sql of
// this package.
//
// Migrate does not change or check a table or view that exists; [New] reports
// what those lack. It may run at each start, and on several servers at once. If
// no table is missing, it needs no privilege to create tables.
func Migrate(ctx context.Context, db *sql.DB, d Dialect) error {
	dialect, err := dialectOf(d)
	if err != nil {
		return err
	}
	found, err := dialect.find(ctx, db)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if found[table.name] != nil {
			continue
		}
		if _, err := db.ExecContext(ctx, dialect.create(table.name)); err != nil {
			// PostgreSQL fails, IF NOT EXISTS or not, when another instance
			// makes the table at the same moment.
			again, findErr := dialect.find(ctx, db)
			if findErr != nil || again[table.name] == nil {
				return fmt.Errorf("sqlstore: migrate: table %s: %w", table.name, err)
			}
		}
	}
	return nil
}

// found holds the columns of the tables that exist.
type found map[string]map[string]foundColumn

type foundColumn struct {
	unique            bool
	privileges, fault string
}

func (d dialect) find(ctx context.Context, db *sql.DB) (found, error) {
	f := make(found)
	rows, err := db.QueryContext(ctx, d.catalogue)
	if err == nil {
		defer rows.Close()
		for err == nil && rows.Next() {
			var table, name string
			var c foundColumn
			err = rows.Scan(&table, &name, &c.unique, &c.privileges, &c.fault)
			if f[table] == nil {
				f[table] = make(map[string]foundColumn)
			}
			f[table][d.fold(name)] = c
		}
		err = errors.Join(err, rows.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("sqlstore: look for the tables: %w", err)
	}
	return f, nil
}

// check returns the dialect and the columns of the tables. Its error names every
// invalid argument, besides faults, or everything that the statements need and
// do not have.
func check(ctx context.Context, db *sql.DB, name Dialect, tables []table, faults ...error) (dialect, found, error) {
	d, err := dialectOf(name)
	if db == nil {
		err = errors.Join(err, errors.New("sqlstore: db is required"))
	}
	if err := errors.Join(append([]error{err}, faults...)...); err != nil {
		return d, nil, err
	}
	f, err := d.find(ctx, db)
	if err != nil {
		return d, nil, err
	}
	faults = nil
	known := []string{""}
	for _, table := range tables {
		columns, ok := f[table.name]
		if !ok {
			faults = append(faults, fmt.Errorf("sqlstore: table %s is missing, or not visible to this user of the database", table.name))
			continue
		}
		for _, column := range table.columns {
			c, ok := columns[d.fold(column.name)]
			if !ok && column.name != "isDeleted" { // which Java's table lacks
				faults = append(faults, fmt.Errorf("sqlstore: table %s has no column %s that this user of the database can see", table.name, column.name))
			}
			if !slices.Contains(known, c.fault) {
				known = append(known, c.fault)
				faults = append(faults, errors.New("sqlstore: "+c.fault))
			}
			for privilege := range strings.SplitSeq(column.privileges, ", ") {
				if ok && !strings.Contains(c.privileges, privilege) {
					faults = append(faults, fmt.Errorf("sqlstore: table %s: this user of the database has no privilege to %s %s", table.name, privilege, column.name))
				}
			}
		}
		if c, ok := columns[d.fold("operateId")]; ok && !c.unique {
			faults = append(faults, errors.New("sqlstore: screen_statuses must be a table, not a view, with a unique key on operateId alone, "+
				"in full and not deferrable, and with no other unique key that two conversations could share"))
		}
	}
	return d, f, errors.Join(faults...)
}
