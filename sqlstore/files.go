package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// readLimit is how long reading a file may take, since fs.FS has no context.
const readLimit = 5 * time.Second

// ConfigFiles are the files that SealTalk's Java server of 2025 keeps in its
// table config_list: client_version.json is the value of the key mobileVersion,
// and demo_square.json that of demoSquare. Each is read from the database when
// it is opened, so what the server's admin page saves is served at once. There
// is also a releases.json without releases, since that server has none.
//
// ConfigFiles are an fs.FS for catalog.Open. Reading a file fails after five
// seconds. Make them with [NewConfigFiles].
type ConfigFiles struct{ value *sql.Stmt }

var _ fs.StatFS = (*ConfigFiles)(nil)

// NewConfigFiles checks the table and prepares the statement. Its error names
// what is missing, as that of [New] does. ConfigFiles need the privilege SELECT
// on the columns att_key and att_value. The caller remains responsible for db.
func NewConfigFiles(ctx context.Context, db *sql.DB, d Dialect) (*ConfigFiles, error) {
	stmt, err := prepareChecked(ctx, db, d, table{"config_list", []column{{"att_key", "SELECT"}, {"att_value", "SELECT"}}},
		func(d dialect) string { return d.configValue })
	if err != nil {
		return nil, err
	}
	return &ConfigFiles{stmt}, nil
}

// Close closes the prepared statement. The files cannot be opened afterwards.
func (c *ConfigFiles) Close() error { return c.value.Close() }

// configKeys has the key of each file in config_list.
var configKeys = map[string]string{"client_version.json": "mobileVersion", "demo_square.json": "demoSquare"}

// Stat implements [fs.StatFS]. It does not ask the database: only Open finds out
// whether the key of a file has a row, and how long its value is.
func (c *ConfigFiles) Stat(name string) (fs.FileInfo, error) {
	if _, ok := configKeys[name]; ok {
		return &configFile{strings.NewReader(""), name}, nil
	}
	f, err := c.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// Open implements [fs.FS]. A file whose key has no row does not exist. The
// directory cannot be listed.
func (c *ConfigFiles) Open(name string) (fs.File, error) {
	text, err := c.read(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &configFile{strings.NewReader(text), name}, nil
}

func (c *ConfigFiles) read(name string) (text string, err error) {
	key, ok := configKeys[name]
	switch {
	case !fs.ValidPath(name):
		return "", fs.ErrInvalid
	case name == ".":
		return "", nil
	case name == "releases.json":
		return `{"releases":[]}`, nil
	case !ok:
		return "", fs.ErrNotExist
	}
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	var value sql.NullString
	err = repeat(ctx, func() error { return c.value.QueryRowContext(ctx, key).Scan(&value) })
	if errors.Is(err, sql.ErrNoRows) {
		return "", fs.ErrNotExist
	}
	if err != nil {
		return "", fmt.Errorf("sqlstore: config_list, %s: %w", key, err)
	}
	return value.String, nil
}

// A configFile is one file, or the directory if its name is a dot.
type configFile struct {
	*strings.Reader
	name string
}

func (f *configFile) Close() error               { return nil }
func (f *configFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *configFile) Name() string               { return f.name }
func (f *configFile) IsDir() bool                { return f.name == "." }
func (f *configFile) ModTime() time.Time         { return time.Time{} } // it is not known
func (f *configFile) Sys() any                   { return nil }

func (f *configFile) Mode() fs.FileMode {
	if f.IsDir() {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
