package misctest_test

import (
	"fmt"
	"reflect"
	"testing"
)

// equal fails the test, without ending it, unless got equals want.
func equal(t *testing.T, want, got any, about ...any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("got %v, want %v %s", got, want, fmt.Sprintln(about...))
	}
}

// check fails the test, without ending it, unless ok.
func check(t *testing.T, ok bool, about ...any) {
	t.Helper()
	if !ok {
		t.Error(append([]any{"not so:"}, about...)...)
	}
}

// noError ends the test if err is not nil.
func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
