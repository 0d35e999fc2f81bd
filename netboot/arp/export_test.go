package arp

import "net"

// New returns a Conn on a given socket.
func New(conn net.PacketConn, mac net.HardwareAddr) *Conn { return &Conn{conn: conn, mac: mac} }
