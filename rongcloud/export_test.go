package rongcloud

// Sign returns the signature of a request.
var Sign = sign
