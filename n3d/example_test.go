package n3d_test

import (
	"fmt"
	"log"

	"github.com/sealtalk-go/misc/n3d"
)

func Example() {
	codec, err := n3d.New("11EdDIaqpcim") // the key of the SealTalk servers
	if err != nil {
		log.Fatal(err)
	}
	public, err := codec.Encode(1)
	fmt.Println(public, err)
	id, err := codec.Decode(public)
	fmt.Println(id, err)
	_, err = codec.Decode("alice")
	fmt.Println(err)
	// Output:
	// kFpN4KiZn <nil>
	// 1 <nil>
	// n3d: misc: "alice" is not a valid public id
}

func ExampleNew_invalid() {
	for _, key := range []string{"abcd", "sché1", "mykey123"} {
		_, err := n3d.New(key)
		fmt.Println(err)
	}
	// Output:
	// n3d: key: too short, use at least five characters
	// n3d: key: byte 3 is not ASCII
	// n3d: key: cannot encode every id, choose another one
}
