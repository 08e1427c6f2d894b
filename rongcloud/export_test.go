package rongcloud

// Sign makes a signature.
var Sign = sign
