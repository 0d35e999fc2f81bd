package power_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/bougou/go-ipmi/pkg/bmc"

	"vetting/core"
	"vetting/netboot/power"
)

// script is a way that ends as it is told.
type script struct {
	method power.Method
	on     power.Outcome
	pxe    power.Outcome
	state  power.State
	said   *[]string
}

func (s script) Method() power.Method { return s.method }

func (s script) end(what string, o power.Outcome) error {
	*s.said = append(*s.said, string(s.method)+" "+what)

	if o == power.OK || o == "" {
		return nil
	}

	return &power.Fault{Outcome: o, Method: s.method, Detail: "as told"}
}

func (s script) On(context.Context) error         { return s.end("on", s.on) }
func (s script) Off(context.Context) error        { return s.end("off", s.on) }
func (s script) Cycle(context.Context) error      { return s.end("cycle", s.on) }
func (s script) OneTimePXE(context.Context) error { return s.end("pxe", s.pxe) }

func (s script) State(context.Context) (power.State, error) {
	if s.state == power.Unknown {
		return power.Unknown, s.end("state", power.Unsupported)
	}

	return s.state, s.end("state", "")
}

func TestTheFirstWayThatWorksIsTaken(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		boot bool
		ways []script
		want string
		said string
	}{
		"the first": {
			ways: []script{{method: power.Redfish}, {method: power.IPMI}},
			want: "redfish on ok", said: "redfish on",
		},
		"the second, when the first is not reachable": {
			ways: []script{{method: power.Redfish, on: power.Unreachable}, {method: power.IPMI}},
			want: "redfish on unreachable, ipmi on ok", said: "redfish on, ipmi on",
		},
		"none": {
			ways: []script{{method: power.IPMI, on: power.Timeout}, {method: power.Manual, on: power.ByHand}},
			want: "ipmi on timeout, manual on by-hand", said: "ipmi on, manual on",
		},
		"booting a machine that is on restarts it": {
			boot: true, ways: []script{{method: power.IPMI, state: power.On}},
			want: "ipmi pxe ok, ipmi cycle ok", said: "ipmi pxe, ipmi state, ipmi cycle",
		},
		"booting a machine that is off switches it on": {
			boot: true, ways: []script{{method: power.IPMI, state: power.Off}},
			want: "ipmi pxe ok, ipmi on ok", said: "ipmi pxe, ipmi state, ipmi on",
		},
		"a BMC that cannot set the next start is used all the same": {
			boot: true, ways: []script{{method: power.IPMI, pxe: power.NotKept, state: power.Off}},
			want: "ipmi pxe not-kept, ipmi on ok", said: "ipmi pxe, ipmi state, ipmi on",
		},
		"a BMC with another password is not asked twice": {
			boot: true, ways: []script{{method: power.Redfish, pxe: power.WrongPassword}, {method: power.WoL}},
			want: "redfish pxe wrong-password, wol on ok", said: "redfish pxe, wol state, wol on",
		},
	} {
		var (
			said []string
			ways []power.Way
		)

		for _, w := range c.ways {
			w.said = &said
			ways = append(ways, w)
		}

		try := power.TryOn
		if c.boot {
			try = power.TryBoot
		}

		all := try(t.Context(), ways)

		var got []string

		for _, a := range all {
			got = append(got, fmt.Sprintf("%s %s %s", a.Method, a.Action, a.Outcome))

			if (a.Outcome == power.OK) != (a.Code == "") || a.Outcome != power.OK && a.Code != "power/"+string(a.Outcome) {
				t.Errorf("%s: %+v has the code %q", name, a, a.Code)
			}
		}

		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s", name, strings.Join(got, ", "))
		}

		if strings.Join(said, ", ") != c.said {
			t.Errorf("%s: asked was %s", name, strings.Join(said, ", "))
		}

		if power.Worked(all) != strings.HasSuffix(c.want, "ok") {
			t.Errorf("%s: worked %v", name, power.Worked(all))
		}
	}
}

func TestNoFurtherWayIsTriedOnceTheCallerHasGivenUp(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	var said []string

	all := power.TryBoot(ctx, []power.Way{script{method: power.IPMI, pxe: power.Stopped, said: &said}, script{method: power.WoL, said: &said}})
	if len(all) != 1 || all[0].Outcome != power.Stopped {
		t.Errorf("%+v", all)
	}
}

func TestAnAttemptNamesTheOtherSideAndNoSecret(t *testing.T) {
	t.Parallel()

	silent, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // a test's own socket
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	c := &chassis{hasFlags: true}
	good := startBMC(t, c, bmc.PrivilegeLevelAdministrator)

	all := power.TryBoot(t.Context(), []power.Way{
		ipmiTo(t, silent.LocalAddr().String(), soon),
		wayTo(t, power.Target{Method: power.IPMI, Address: good, User: user, Password: password + "!"}, long),
		ipmiTo(t, good, long),
	})

	var got []string
	for _, a := range all {
		got = append(got, fmt.Sprintf("%s %s %s", a.Action, a.Outcome, a.Address))
	}

	want := fmt.Sprintf("pxe timeout %s, pxe wrong-password %s, pxe ok %s, on ok %s", silent.LocalAddr(), good, good, good)
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s", strings.Join(got, ", "))
	}

	if text, err := json.Marshal(all); err != nil || strings.Contains(string(text), password) {
		t.Errorf("%s %v", text, err)
	}
}

func TestASettingThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		target power.Target
		want   string // in the error; empty: none
	}{
		"an unknown method":              {power.Target{Method: "telepathy"}, "method:"},
		"wol without an address":         {power.Target{Method: power.WoL}, "macs:"},
		"wol with a strange address":     {power.Target{Method: power.WoL, MACs: []core.MAC{"52-54-00-12-34-56"}}, "macs:"},
		"wol":                            {power.Target{Method: power.WoL, MACs: []core.MAC{"52:54:00:12:34:56"}}, ""},
		"ipmi without an address":        {power.Target{Method: power.IPMI}, "address:"},
		"ipmi at a URL":                  {power.Target{Method: power.IPMI, Address: "https://10.0.0.7"}, "address:"},
		"ipmi with a port of nonsense":   {power.Target{Method: power.IPMI, Address: "10.0.0.7:99999"}, "address:"},
		"ipmi at an IPv6 address":        {power.Target{Method: power.IPMI, Address: "fd00::7"}, ""},
		"ipmi at an IPv6 address, port":  {power.Target{Method: power.IPMI, Address: "[fd00::7]:6230"}, ""},
		"ipmi with a user too long":      {power.Target{Method: power.IPMI, Address: "bmc", User: "a-name-of-17-bytes"}, "user:"},
		"ipmi with a password too long":  {power.Target{Method: power.IPMI, Address: "bmc", Password: "this-is-longer-than-20"}, "password:"},
		"redfish":                        {power.Target{Method: power.Redfish, Address: "bmc-7.lan"}, ""},
		"redfish at an IPv6 address":     {power.Target{Method: power.Redfish, Address: "fd00::7"}, ""},
		"redfish with http":              {power.Target{Method: power.Redfish, Address: "http://bmc"}, "address:"},
		"redfish with http, insecure":    {power.Target{Method: power.Redfish, Address: "http://bmc", Insecure: true}, ""},
		"redfish with a path":            {power.Target{Method: power.Redfish, Address: "https://bmc/x"}, "address:"},
		"redfish with a user in the URL": {power.Target{Method: power.Redfish, Address: "https://a:b@bmc"}, "address:"},
		"a pin that is none":             {power.Target{Method: power.Redfish, Address: "bmc", Pin: "abc"}, "pin:"},
		"a pin with colons":              {power.Target{Method: power.Redfish, Address: "bmc", Pin: strings.TrimSuffix(strings.Repeat("AB:", 32), ":")}, ""},
		"a pin and any certificate":      {power.Target{Method: power.Redfish, Address: "bmc", Pin: strings.Repeat("ab", 32), Insecure: true}, "pin and insecure"},
		"a webhook without a secret":     {power.Target{Method: power.Webhook, URL: "https://x/y"}, "secret:"},
		"a webhook to a file":            {power.Target{Method: power.Webhook, URL: "file:///etc/passwd", Secret: secret}, "url:"},
		"by hand":                        {power.Target{Method: power.Manual}, ""},
	} {
		_, err := power.New(c.target, power.Tools{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestByHandIsSaid(t *testing.T) {
	t.Parallel()

	way := wayTo(t, power.Target{Method: power.Manual}, long)
	mustBe(t, way.On(t.Context()), power.ByHand)

	if !strings.Contains(way.On(t.Context()).Error(), "by-hand") {
		t.Error(way.On(t.Context()))
	}
}

func TestASecretIsNotPrintedByAccident(t *testing.T) {
	t.Parallel()

	target := power.Target{User: user, Password: password, Secret: secret}

	text, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}

	for _, all := range []string{fmt.Sprint(target), fmt.Sprintf("%+v %#v %s %q", target, target, target.Password, target.Password), string(text)} {
		if strings.Contains(all, password) || strings.Contains(all, secret) {
			t.Errorf("told: %s", all)
		}
	}
}
