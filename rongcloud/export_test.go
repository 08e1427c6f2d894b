package rongcloud

// NewTransport makes the transport of a Client, whose settings show only over
// time.
var NewTransport = newTransport
