// Package socket is what both ends of a network test ask of the kernel about their
// sockets.
package socket
