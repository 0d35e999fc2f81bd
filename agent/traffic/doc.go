// Package traffic is the machine's end of a network test: it has the appliance's
// throughput partner send and take over one port, as fast as both can, and verifies
// every byte. It says what came of it and judges nothing.
package traffic
