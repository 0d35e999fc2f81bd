package bmc_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
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

// What the controller says of itself is what others read in it, too: the records of its
// sensors and the information of its FRUs go through decoders that are not ours.
func TestOthersReadTheSame(t *testing.T) {
	machine := bmc.New(bmc.Healthy)

	sensors, inventories, err := ipmi.ReadSensors(machine)
	if err != nil || len(sensors) != 13 || len(inventories) != 2 {
		t.Fatalf("%d sensors, %d inventories, %v", len(sensors), len(inventories), err)
	}

	for id, n := uint16(0), 0; id != 0xffff; {
		answer, err := machine.Do(ipmi.Request{NetFn: ipmi.Storage, Command: 0x23, Data: []byte{1, 0, byte(id), byte(id >> 8), 0, 0xff}})
		if err != nil || answer[0] != 0 {
			t.Fatalf("%x %v", answer, err)
		}

		sdr, err := types.ParseSDR(answer[3:], 0)
		if err != nil {
			t.Fatal(err)
		}

		id = binary.LittleEndian.Uint16(answer[1:])

		if sdr.RecordHeader.RecordType == types.SDRRecordTypeFRUDeviceLocator {
			continue
		}

		if ours := sensors[n]; byte(sdr.SensorNumber()) != ours.Number() || sdr.SensorName() != ours.Name {
			t.Errorf("%#x %q, and %#x %q", sdr.SensorNumber(), sdr.SensorName(), ours.Number(), ours.Name)
		}

		if full := sdr.Full; full != nil && full.HasAnalogReading() {
			const raw = 100

			reading := full.ConvertReading(raw)
			ours, err := sensors[n].Read(fixed{raw})

			if err != nil || math.Abs(reading-ours.Value) > 1e-6 {
				t.Errorf("%s: %v, and %v", sensors[n].Name, reading, ours.Value)
			}
		}

		n++
	}

	for _, i := range inventories {
		answer, err := machine.Do(ipmi.Request{NetFn: ipmi.Storage, Command: 0x11, Data: []byte{i.Device, 0, 0, 0xff}})
		if err != nil || answer[0] != 0 {
			t.Fatalf("%x %v", answer, err)
		}

		fru, err := types.ParseFRU(answer[2:])
		if err != nil {
			t.Fatal(err)
		}

		capacity := int(binary.LittleEndian.Uint16(fru.MultiRecords[0].RecordData))

		ours, err := ipmi.ReadIdentity(machine, i.Device)
		if err != nil || string(fru.ProductInfoArea.SerialNumber) != ours.Serial || string(fru.ProductInfoArea.PartModel) != ours.Part || capacity != ours.Watts {
			t.Errorf("%+v, %d W and %+v %v", fru.ProductInfoArea, capacity, ours, err)
		}
	}
}

// fixed is a BMC whose sensors all read the same.
type fixed struct{ raw byte }

func (f fixed) Do(ipmi.Request) ([]byte, error) { return []byte{0, f.raw, 0xc0, 0xc0}, nil }
