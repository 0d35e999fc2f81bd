// Package load makes load for the benchmarks: closed-loop DHCP clients, and HTTP
// clients that fetch and drop. It speaks only what real clients speak, so that
// the appliance and its rivals are measured by the same ruler. Linux only.
package load
