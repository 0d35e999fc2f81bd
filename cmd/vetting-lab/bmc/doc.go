// Package bmc is a management controller for tests: it answers IPMI 2.0 requests, byte by
// byte, as the controller of a server with two power supplies does, and plays a scenario:
// a supply that is dead, loses its input, carries too much or sags. It takes requests from
// QEMU (see Serve) as well as from Go (see BMC.Do), so that the same bytes are tested with
// and without a virtual machine. It is part of the laboratory, never of the product.
package bmc
