package bmc_test

import (
	"bytes"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/vmproto"

	"vetting/agent/ipmi"
	"vetting/cmd/vetting-lab/bmc"
)

// A client that others have written of QEMU's protocol hears the same bytes as a caller in Go.
func TestOverTheWireAsInGo(t *testing.T) {
	machine := bmc.New(bmc.Healthy)

	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "bmc")) //nolint:noctx // nothing to look up
	if err != nil {
		t.Fatal(err)
	}

	served := make(chan struct{})

	go func() {
		defer close(served)

		machine.Serve(t.Context(), listener)
	}()

	conn, err := net.Dial("unix", listener.Addr().String()) //nolint:noctx // as above
	if err != nil {
		t.Fatal(err)
	}

	if _, err := conn.Write([]byte{0xff, 0x01, 0xa1, 0x08, 0x3f, 0xa1}); err != nil { // version and capabilities
		t.Fatal(err)
	}

	client := vmproto.NewClient(conn, 10*time.Second)

	for _, req := range []ipmi.Request{
		{NetFn: ipmi.App, Command: 0x01},
		{NetFn: ipmi.Storage, Command: 0x20},
		{NetFn: ipmi.Storage, Command: 0x23, Data: []byte{1, 0, 2, 0, 0, 16}},
		{NetFn: ipmi.Sensor, Command: 0x2d, Data: []byte{0x10}},
		{NetFn: ipmi.Sensor, Command: 0x2d, Data: []byte{0x24}},
		{NetFn: ipmi.Sensor, Command: 0x27, Data: []byte{0x26}},
		{NetFn: ipmi.Storage, Command: 0x11, Data: []byte{1, 0, 0, 32}},
		{NetFn: ipmi.Group, Command: 0x02, Data: []byte{0xdc, 1, 0, 0}},
		{NetFn: ipmi.Storage, Command: 0x40},
		{NetFn: ipmi.Transport, Command: 0x02, Data: []byte{1, 5, 0, 0}},
	} {
		want, err := machine.Do(req)
		if err != nil {
			t.Fatal(err)
		}

		code, data, err := client.Command(req.NetFn, req.Command, req.Data...)
		if err != nil || code != want[0] || !bytes.Equal(data, want[1:]) {
			t.Errorf("%02x/%02x: %02x %x, %v; want %x", req.NetFn, req.Command, code, data, err, want)
		}
	}

	_ = listener.Close()

	<-served
}

// What comes to a supply is in the log of events, once.
func TestTheLogOfEvents(t *testing.T) {
	machine := bmc.New(bmc.LosesInput(1, 0))

	records := func() int {
		t.Helper()

		answer, err := machine.Do(ipmi.Request{NetFn: ipmi.Storage, Command: 0x40})
		if err != nil || len(answer) != 15 {
			t.Fatalf("%x %v", answer, err)
		}

		return int(answer[2])
	}

	if n := records() + records(); n != 2 {
		t.Errorf("%d records in two looks", n)
	}

	answer, err := machine.Do(ipmi.Request{NetFn: ipmi.Storage, Command: 0x43, Data: []byte{0, 0, 0, 0, 0, 0xff}})
	if want := []byte{0x20, 0x00, 0x04, 0x08, 0x11, 0x6f, 0x03}; err != nil || len(answer) != 19 || !bytes.Equal(answer[10:17], want) {
		t.Errorf("%x %v", answer, err)
	}

	if err := ipmi.Survey(machine); err != nil {
		t.Error(err)
	}
}
