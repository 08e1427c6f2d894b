package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/sqlstore"
)

func ExampleNew() {
	ctx := context.Background()
	db, err := sql.Open("mysql", "user:password@tcp(localhost:3306)/sealtalk") // import a driver for it
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	codec, err := n3d.New("11EdDIaqpcim") // the key of the SealTalk servers
	if err != nil {
		log.Fatal(err)
	}
	if err := sqlstore.Migrate(ctx, db, sqlstore.MySQL); err != nil { // makes the tables that are missing
		log.Fatal(err)
	}
	store, err := sqlstore.New(ctx, db, sqlstore.MySQL, sqlstore.Config{Codec: codec})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	_ = misc.Config{Store: store} // and Versions and Messenger
}

// New reports all problems at once.
func ExampleNew_invalid() {
	_, err := sqlstore.New(context.Background(), nil, "mariadb", sqlstore.Config{}) // right: sqlstore.MySQL
	fmt.Println(err)
	// Output:
	// sqlstore: dialect "mariadb" is unknown: use mysql, postgres or sqlite
	// sqlstore: db is required
	// sqlstore: Config.Codec is required
}

// A server is ready if its database is.
func ExampleStore_Check() {
	var store *sqlstore.Store // as in the example of New
	http.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := store.Check(ctx); err != nil {
			log.Print(err)
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
}
