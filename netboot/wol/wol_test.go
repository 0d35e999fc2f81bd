package wol_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/netboot/wol"
)

// The packets themselves are held by the tests of netboot/power, which calls
// through this package.

func TestAWakeThatCannotBeSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		nic  string
		host core.Host
		want string
	}{
		"an address that is none":   {"lo", core.Host{MAC: "nonsense", Name: "bench"}, "reading the address of bench"},
		"a card that is not there":  {"none0", core.Host{MAC: "52:54:00:00:00:01"}, "opening a socket on none0"},
		"an address of eight bytes": {"lo", core.Host{MAC: "00:00:00:00:fe:80:00:01", Name: "bench"}, "bench"},
	} {
		err := wol.Waker{Interface: c.nic}.Wake(t.Context(), c.host)
		if err == nil || !strings.Contains(err.Error(), c.want) && !strings.Contains(err.Error(), string(c.host.MAC)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A round is three packets 200 ms apart; told to end, it does not send the rest.
func TestAWakeEndsWhenItIsToldTo(t *testing.T) {
	if _, err := net.InterfaceByName("lo"); err != nil {
		t.Skipf("no loopback: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()

	err := wol.Waker{Interface: "lo"}.Wake(ctx, core.Host{MAC: "52:54:00:00:00:01"})
	if errors.Is(err, os.ErrPermission) {
		t.Skip("binding to a card needs a right here")
	}

	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}
