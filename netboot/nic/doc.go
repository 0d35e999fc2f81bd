// Package nic talks to the kernel about the appliance's own network card: its
// address, its default route, its coming and going, sockets tied to it, and
// what rights are missing for all that.
package nic
