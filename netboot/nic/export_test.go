package nic

import "github.com/vishvananda/netlink"

// CarriesIn looks for a default route over the card with the index.
func CarriesIn(routes []netlink.Route, index int) bool { return carries(routes, index) }

// ParseCarrier reads an RTM_NEWLINK message.
func ParseCarrier(message []byte) (Carrier, error) { return parseCarrier(message) }

// ParseRights reads /proc/self/status.
func ParseRights(status string) (Rights, error) { return parseRights(status) }

// Lacking names the rights that are not held.
func (r Rights) Lacking() string { return r.lacking() }
