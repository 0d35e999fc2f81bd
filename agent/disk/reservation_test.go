package disk_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"vetting/agent/disk"
)

// shared answers PERSISTENT RESERVE IN with a number of keys and a holder.
type shared struct {
	keys, holder string // hex; empty: ILLEGAL REQUEST
	broken       error
}

func (s shared) Execute(req disk.SCSIRequest) (disk.SCSIReply, error) {
	answer := s.keys
	if req.CDB[1] == 1 {
		answer = s.holder
	}

	if answer == "" {
		return disk.SCSIReply{Status: 2, Sense: []byte{0x70, 0, 0x05, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0}}, s.broken
	}

	data, err := hex.DecodeString(answer)

	return disk.SCSIReply{Data: data}, errors.Join(err, s.broken)
}

func (shared) Close() error { return nil }

// reset is a disk that tells first that it was reset.
type reset struct {
	shared

	asked *int
}

func (r reset) Execute(req disk.SCSIRequest) (disk.SCSIReply, error) {
	if *r.asked++; *r.asked == 1 {
		return disk.SCSIReply{Status: 2, Sense: []byte{0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0, 0, 0, 0, 0}}, nil
	}

	return r.shared.Execute(req)
}

func TestADiskThatWasResetIsAskedAgain(t *testing.T) {
	dev := reset{shared{keys: "0000000100000000", holder: "0000000100000000"}, new(int)}
	if got, err := disk.ReadReservation(dev); err != nil || !got.None() || *dev.asked != 3 {
		t.Errorf("%+v, %v, asked %d times", got, err, *dev.asked)
	}
}

func TestReservationsOfSCSIDisks(t *testing.T) {
	const none = "0000000100000000"

	for name, c := range map[string]struct {
		dev  shared
		want disk.Reservation
		err  bool
	}{
		"unknown to the disk": {shared{}, disk.Reservation{}, false},
		"none":                {shared{keys: none, holder: none}, disk.Reservation{}, false},
		"two keys":            {shared{keys: "0000000200000010" + strings.Repeat("00000000000000ab", 2), holder: none}, disk.Reservation{Registered: 2}, false},
		"held":                {shared{keys: "000000020000000800000000000000ab", holder: "000000020000001000000000000000ab0000000000050000"}, disk.Reservation{Registered: 1, Held: true}, false},
		"cut":                 {shared{keys: "00000001"}, disk.Reservation{}, true},
		"lost on the way":     {shared{keys: none, holder: none, broken: errors.New("host adapter status 0x3")}, disk.Reservation{}, true},
	} {
		got, err := disk.ReadReservation(c.dev)
		if got != c.want || (err != nil) != c.err || got.None() != (c.want == disk.Reservation{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// namespace is an NVMe disk that may know reservations.
type namespace struct {
	capable byte
	report  []byte
	status  uint16
}

func (n namespace) Admin(disk.NVMeRequest) (disk.NVMeReply, error) {
	data := make([]byte, 4096)
	data[31] = n.capable

	return disk.NVMeReply{Data: data}, nil
}

func (n namespace) ReservationReport(int) (disk.NVMeReply, error) {
	return disk.NVMeReply{Status: n.status, Data: n.report}, nil
}

func (namespace) Close() error { return nil }

// mute is one that cannot be asked.
type mute struct{ disk.NVMe }

func TestReservationsOfNVMeDisks(t *testing.T) {
	report := func(kind, registered byte) []byte {
		b := make([]byte, 64)
		b[4], b[5] = kind, registered

		return b
	}

	for name, c := range map[string]struct {
		dev  disk.NVMe
		want disk.Reservation
		err  bool
	}{
		"not capable":        {namespace{}, disk.Reservation{}, false},
		"none":               {namespace{capable: 0xff, report: report(0, 0)}, disk.Reservation{}, false},
		"registered":         {namespace{capable: 1, report: report(0, 2)}, disk.Reservation{Registered: 2}, false},
		"held":               {namespace{capable: 1, report: report(1, 1)}, disk.Reservation{Registered: 1, Held: true}, false},
		"cut":                {namespace{capable: 1, report: []byte{1}}, disk.Reservation{}, true},
		"refused":            {namespace{capable: 1, status: 2}, disk.Reservation{}, true},
		"nobody who can ask": {mute{namespace{capable: 1}}, disk.Reservation{}, true},
	} {
		got, err := disk.ReadNVMeReservation(c.dev)
		if got != c.want || (err != nil) != c.err {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzReservation(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := disk.ParseReserveIn(b); err == nil && n < 0 {
			t.Error(n)
		}

		if r, err := disk.ParseNVMeReservation(b); err == nil && r.Registered < 0 {
			t.Errorf("%+v", r)
		}
	})
}
