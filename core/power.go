package core

import (
	"slices"
	"time"
)

// Power says how a host is brought to boot.
type Power struct {
	Method  PowerMethod   `json:"method"`         // the first way
	Then    []PowerMethod `json:"then,omitempty"` // tried in this order when those before do not work
	BMC     BMC           `json:"bmc,omitzero"`
	Webhook Webhook       `json:"webhook,omitzero"`
}

// Ways returns the ways to bring the host to boot, in their order.
func (p *Power) Ways() []PowerMethod {
	return append([]PowerMethod{p.Method}, p.Then...)
}

// Controllers are the protocols by which a host's management controller is asked, Redfish first:
// those that the host is switched by, or, where it is switched another way, both. None where it
// has no controller.
func (p *Power) Controllers() (list []PowerMethod) {
	if p.BMC.Address == "" {
		return nil
	}

	for _, way := range []PowerMethod{PowerRedfish, PowerIPMI} {
		if slices.Contains(p.Ways(), way) {
			list = append(list, way)
		}
	}

	if len(list) == 0 {
		return []PowerMethod{PowerRedfish, PowerIPMI}
	}

	return list
}

// BMC is how a host's management controller is reached. Its password is in
// HostSecret.
type BMC struct {
	Address     string `json:"address,omitempty"`  // host or host:port; IPMI defaults to 623, Redfish to 443
	System      string `json:"system,omitempty"`   // Id of the ComputerSystem where a Redfish service has several
	Insecure    bool   `json:"insecure,omitempty"` // any certificate will do
	User        string `json:"user,omitempty"`
	Pin         string `json:"pin,omitempty"`          // SHA-256 of its certificate (DER), hex: just this one is trusted
	PasswordSet bool   `json:"password_set,omitempty"` // kept by the engine
}

// Webhook is a service of the operator that switches the host.
type Webhook struct {
	URL       string `json:"url,omitempty"`        // http or https
	SecretSet bool   `json:"secret_set,omitempty"` // kept by the engine
}

// HostSecret holds what a host must keep from everybody. It is a record of its
// own, so that a Host can be shown.
type HostSecret struct {
	BMCPassword   string `json:"bmc_password,omitempty"`
	WebhookSecret string `json:"webhook_secret,omitempty"` // signs the call
}

// PowerMethod names a way to bring a host to boot.
type PowerMethod string

// The power methods.
const (
	PowerManual  PowerMethod = "manual"  // the operator presses the button
	PowerWoL     PowerMethod = "wol"     // magic packet, repeated
	PowerAgent   PowerMethod = "agent"   // the installed agent is told to reboot
	PowerIPMI    PowerMethod = "ipmi"    // RMCP+
	PowerRedfish PowerMethod = "redfish" // DSP0266
	PowerWebhook PowerMethod = "webhook" // a service of the operator's
)

// PowerMethods returns all of them.
func PowerMethods() []PowerMethod {
	return []PowerMethod{PowerWoL, PowerAgent, PowerIPMI, PowerRedfish, PowerWebhook, PowerManual}
}

// Remote reports whether the appliance can switch a host this way at once,
// without an agent and without a person.
func (m PowerMethod) Remote() bool {
	return m == PowerIPMI || m == PowerRedfish || m == PowerWebhook
}

// PowerOp is what is asked of a way.
type PowerOp string

// The power operations. Wake-on-LAN knows boot and on, which are the same to it.
const (
	PowerBoot   PowerOp = "boot" // boot once from the network: switch on, or cycle what is on
	PowerOn     PowerOp = "on"
	PowerOff    PowerOp = "off"
	PowerCycle  PowerOp = "cycle"
	PowerStatus PowerOp = "status"
)

// PowerState is whether a host is on, as its controller says.
type PowerState string

// The power states.
const (
	PowerIsOn    PowerState = "on"
	PowerIsOff   PowerState = "off"
	PowerUnknown PowerState = "unknown" // this way cannot tell
)

// PowerOrder is one thing asked of one way.
type PowerOrder struct {
	Host   Host
	Secret HostSecret
	Way    PowerMethod
	Op     PowerOp
}

// PowerAnswer is what came of an order: every attempt it took, in order. The last
// one tells how it ended.
type PowerAnswer struct {
	Attempts []PowerAttempt
	State    PowerState // with status; PowerUnknown where it was not asked
	Panel    *Panel     // with look; nil where it was not asked or not answered
}

// Worked reports whether the order was carried out.
func (a PowerAnswer) Worked() bool {
	return len(a.Attempts) > 0 && a.Attempts[len(a.Attempts)-1].Code == ""
}

// PowerAttempt is one call to a controller, a NIC or a service.
type PowerAttempt struct {
	Way     PowerMethod   `json:"way"`
	Action  string        `json:"action"`            // "pxe", "on", "cycle", "state", "packets", "look", "locate", "locate-off"
	Address string        `json:"address,omitempty"` // whom was called; may be empty
	Code    string        `json:"code,omitempty"`    // problem code; empty: it worked
	Detail  string        `json:"detail,omitempty"`  // a few words, without secrets
	Took    time.Duration `json:"-"`
}
