package rongcloud

// NewTransport makes the transport of a Client, whose settings show only over
// time, and Sign makes a signature.
var (
	NewTransport = newTransport
	Sign         = sign
)
