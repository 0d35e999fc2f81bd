// Package arp talks to whatever else is on the test network, to learn which
// addresses are in use: it sends probes as RFC 5227 §2.1.1 has them, and listens.
package arp
