package message

import "strings"

// Appliances answer registered machines only, so that none of them shows in another's
// search for DHCP servers. Therefore they ask each other, by a DISCOVER with a vendor class
// (option 60) of their own, and answer that with an OFFER of no address.
const (
	// ClassAppliance is of an appliance that is about to serve, and of the answer.
	ClassAppliance = "vetting-appliance"
	// ClassLook is of one that looks around and does not mean to begin.
	ClassLook = "vetting-appliance-look"
	// ClassProxy is of the answer of one that serves beside a DHCP server, and falls silent
	// for nobody.
	ClassProxy = "vetting-appliance-proxy"
)

// Fellow reports whether the message is between appliances.
func (m *Message) Fellow() bool { return strings.HasPrefix(m.Text(OptVendorClass), ClassAppliance) }
