//go:build linux

package boots

import (
	"bytes"
	"slices"
	"time"

	"vetting/cmd/vetting-lab/lab"
)

// Row is a boot that is recorded: how it comes to a standstill.
type Row struct {
	Name  string
	About string // what is wrong with the network or the machine
	// Machine changes what boots; nil: a BIOS machine.
	Machine func(*lab.Machine)
	// Fault returns what the cable lets through; nil: everything. It is called anew for
	// each recording.
	Fault func() func(p packet, toMachine bool) bool
	// Until reports whether a frame is the one that matters; the recording goes on for More
	// after the Times-th of them.
	Until func(p packet, toMachine bool) bool
	Times int
	More  time.Duration
	Rival bool // another DHCP server is there
}

func uefi(m *lab.Machine)   { m.Firmware = lab.UEFI }
func http(m *lab.Machine)   { m.Firmware, m.HTTPBoot = lab.UEFI, true }
func secure(m *lab.Machine) { m.Firmware, m.Secure = lab.UEFI, true }

// steady is a fault without a memory.
func steady(pass func(p packet, toMachine bool) bool) func() func(packet, bool) bool {
	return func() func(packet, bool) bool { return pass }
}

// after is one that begins with a frame from the machine.
func after(begins func(p packet) bool, pass func(p packet, toMachine bool) bool) func() func(packet, bool) bool {
	return func() func(packet, bool) bool {
		begun := false

		return func(p packet, toMachine bool) bool {
			begun = begun || !toMachine && begins(p)

			return !begun || pass(p, toMachine)
		}
	}
}

func asks(p packet, toMachine bool) bool {
	question, _ := p.question()

	return !toMachine && question
}

func asksByIPXE(p packet) bool {
	_, ipxe := p.question()

	return ipxe
}

func hello(p packet, toMachine bool) bool {
	return !toMachine && p.proto == tcp && p.to == 443 && len(p.payload) > 0
}
func offers(p packet) bool      { return p.proto == udp && p.from == 67 }
func nothing(packet, bool) bool { return false }

// fromUs reports whether a packet of our web server goes to the machine.
func fromUs(p packet, toMachine bool) bool { return toMachine && p.proto == tcp && p.from == 80 }

// breath is how long is recorded after what was waited for.
const breath = 2 * time.Second

// Rows lists what is recorded.
func Rows() []Row {
	return slices.Concat(wellRows(), fetchRows(), loaderRows(), imageRows(), serverRows())
}

// wellRows are boots that nothing is in the way of.
func wellRows() []Row {
	return []Row{
		{Name: "bios-boots", About: "nothing", Until: hello, Times: 1, More: breath},
		{Name: "uefi-boots", About: "nothing", Machine: uefi, Until: hello, Times: 1, More: breath},
		{Name: "http-boots", About: "nothing", Machine: http, Until: hello, Times: 1, More: breath},
	}
}

// fetchRows are of machines that get no address, or no boot program.
func fetchRows() []Row {
	return []Row{
		{
			Name: "offers-unheard", About: "the switch drops what DHCP servers say (snooping)", Machine: uefi,
			Fault: steady(func(p packet, toMachine bool) bool { return !toMachine || !offers(p) }), Until: asks, Times: 4, More: breath,
		},
		{
			Name: "nothing-fetched", About: "a firewall drops TFTP", Machine: uefi,
			Fault: steady(func(p packet, toMachine bool) bool { return toMachine || !p.reads() }),
			Until: func(p packet, toMachine bool) bool { return toMachine && offers(p) }, Times: 2, More: 8 * time.Second,
		},
		{
			Name: "probe-only", About: "of TFTP the first request alone gets through", Machine: uefi,
			Fault: func() func(packet, bool) bool {
				seen := 0

				return func(p packet, toMachine bool) bool {
					if toMachine || !p.reads() {
						return true
					}

					seen++

					return seen == 1
				}
			},
			Until: func(p packet, toMachine bool) bool { return !toMachine && p.reads() }, Times: 1, More: 8 * time.Second,
		},
		{
			Name: "transfer-fails", About: "packets of more than 400 bytes are lost on their way to the machine", Machine: uefi,
			Fault: steady(func(p packet, toMachine bool) bool { return !toMachine || offers(p) || len(p.payload) <= 400 }),
			Until: func(p packet, toMachine bool) bool { return !toMachine && p.reads() }, Times: 2, More: 14 * time.Second,
		},
	}
}

// loaderRows are of boot programs that come no further.
func loaderRows() []Row {
	return []Row{
		{
			Name: "loader-silent", About: "the port is dead once the boot program has taken the card over", Machine: uefi,
			Fault: after(asksByIPXE, nothing), Until: func(p packet, toMachine bool) bool { return !toMachine && p.reads() }, Times: 2, More: 12 * time.Second,
		},
		{
			Name: "loader-refused", About: "Secure Boot is on", Machine: secure,
			Until: asks, Times: 2, More: time.Second,
		},
		{
			Name: "loader-unheard", About: "once the boot program has the card, the port passes nothing to it (spanning tree, LACP)", Machine: uefi,
			Fault: after(asksByIPXE, func(_ packet, toMachine bool) bool { return !toMachine }),
			Until: func(p packet, toMachine bool) bool { return !toMachine && asksByIPXE(p) }, Times: 4, More: breath,
		},
		{
			Name: "no-script", About: "a firewall drops HTTP",
			Fault: steady(func(p packet, toMachine bool) bool { return toMachine || p.proto != tcp }),
			Until: func(p packet, toMachine bool) bool { return toMachine && offers(p) }, Times: 2, More: 8 * time.Second,
		},
	}
}

// imageRows are of the image, and of the agent in it.
func imageRows() []Row {
	return []Row{
		{
			Name: "image-stalls", About: "the port dies after 22,000 large packets",
			Fault: func() func(packet, bool) bool {
				large := 0

				return func(p packet, toMachine bool) bool {
					if fromUs(p, toMachine) && len(p.payload) > 1000 {
						large++
					}

					return large < 22_000
				}
			},
			Until: func(p packet, _ bool) bool { return bytes.Contains(p.payload, []byte("/modules.cpio ")) }, Times: 1, More: 25 * time.Second,
		},
		{
			Name: "image-fails", About: "something on the way garbles requests for the image",
			Fault: steady(func(p packet, toMachine bool) bool {
				if i := bytes.Index(p.payload, []byte("/modules.cpio ")); i >= 0 && !toMachine && p.proto == tcp {
					// Two words change places, which TCP's checksum does not see.
					i += (i + 1) % 2
					p.payload[i+2], p.payload[i+4] = p.payload[i+4], p.payload[i+2]
				}

				return true
			}),
			Until: func(p packet, toMachine bool) bool {
				return !toMachine && bytes.Contains(p.payload, []byte("/ipxe/failed/"))
			}, Times: 1, More: breath,
		},
		{
			Name: "agent-silent", About: "a firewall drops what the agent says",
			Fault: steady(func(p packet, toMachine bool) bool { return toMachine || p.proto != tcp || p.to != 443 }),
			Until: func(p packet, toMachine bool) bool {
				return !toMachine && bytes.Contains(p.payload, []byte("vetting-agent"))
			}, Times: 2, More: 4 * time.Second,
		},
	}
}

// serverRows are of machines that turn elsewhere.
func serverRows() []Row {
	return []Row{
		{
			Name: "order-exhausted", About: "the switch drops what DHCP servers say, and the firmware tries one way after the other", Machine: uefi,
			Fault: steady(func(p packet, toMachine bool) bool { return !toMachine || !offers(p) }),
			Until: func(p packet, toMachine bool) bool {
				return asks(p, toMachine) && bytes.Contains(p.payload, []byte("HTTPClient"))
			}, Times: 1, More: breath,
		},
		{
			Name: "other-server", About: "another DHCP server is there, and faster", Machine: uefi, Rival: true,
			Fault: steady(func(p packet, toMachine bool) bool { return !toMachine || !offers(p) || p.src != self() }),
			Until: func(p packet, toMachine bool) bool { return toMachine && offers(p) && p.src != self() }, Times: 2, More: breath,
		},
	}
}
