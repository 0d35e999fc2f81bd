package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The NVMe admin commands that change a medium, and the log that tells of one of them
// (NVMe 2.0 §5.23, §5.25). This package makes and reads them; to send them is for
// agent/blockdev, which asks the gates.
const (
	nvmeFormat   = 0x80
	nvmeSanitize = 0x84

	logNVMeSanitize = 0x81

	nvmeSanitizeSize = 512

	identifyActive    = 0x02 // namespaces of this controller
	identifyAllocated = 0x10 // namespaces of the whole subsystem
)

// NVMeErasure is what an NVMe disk can do to make all of a namespace unreadable, and
// whom it would hit.
type NVMeErasure struct {
	Format      bool   // OACS bit 1: Format NVM
	AllAtOnce   bool   // FNA bit 0 or 1: a format hits all namespaces
	CryptoErase bool   // FNA bit 2: a format can give up the key
	Sanitize    uint32 // SANICAP: bit 0 crypto erase, bit 1 block erase, bit 2 overwrite
	Keep        uint32 // CDW10 of a format that leaves the layout of blocks as it is
	Namespaces  int    // that are there, as far as is known
	Known       bool   // no others are in the subsystem
	Protected   bool   // the namespace is write protected
}

// Sole reports whether what hits the whole subsystem hits this namespace alone.
func (e NVMeErasure) Sole() bool { return e.Known && e.Namespaces == 1 }

// ReadNVMeErasure asks what the disk can do. ErrRefused where it is no NVMe disk that
// tells.
func ReadNVMeErasure(dev NVMe) (e NVMeErasure, err error) {
	controller, err := admin(dev, "identifying NVMe controller", NVMeRequest{Opcode: nvmeIdentify, CDW10: 1, In: nvmePageSize})
	if err != nil {
		return e, err
	}

	namespace, err := admin(dev, "identifying NVMe namespace", NVMeRequest{Opcode: nvmeIdentify, Namespaced: true, In: nvmePageSize})
	if err != nil {
		return e, err
	}

	cns := uint32(identifyActive)
	if manages(controller) {
		cns = identifyAllocated
	}

	list, err := admin(dev, "listing NVMe namespaces", NVMeRequest{Opcode: nvmeIdentify, CDW10: cns, In: nvmePageSize})
	if err != nil && !errors.Is(err, ErrRefused) {
		return e, err
	}

	return ParseNVMeErasure(controller, namespace, list)
}

// manages reports whether a controller knows namespace management (OACS bit 3), and so
// the namespaces of the whole subsystem.
func manages(controller []byte) bool { return binary.LittleEndian.Uint16(controller[256:])&0x8 != 0 }

// ParseNVMeErasure decodes Identify Controller, Identify Namespace and a list of
// namespaces (NVMe 2.0 figures 275, 280 and §5.17.2.2, §5.17.2.9). Without a list nothing
// is known of others.
func ParseNVMeErasure(controller, namespace, list []byte) (e NVMeErasure, err error) {
	const severalControllers = 0x6 // CMIC: two or more, or one of SR-IOV

	if len(controller) < nvmePageSize || len(namespace) < nvmePageSize {
		return e, fmt.Errorf("decoding what NVMe can erase of %d and %d bytes: %w", len(controller), len(namespace), ErrShort)
	}

	fna := controller[524]
	e = NVMeErasure{
		Format: binary.LittleEndian.Uint16(controller[256:])&0x2 != 0, AllAtOnce: fna&0x3 != 0, CryptoErase: fna&0x4 != 0,
		Sanitize: binary.LittleEndian.Uint32(controller[328:]), Protected: namespace[99]&0x1 != 0,
		Keep: keepFormat(namespace[26], namespace[29]),
	}

	for ; len(list) >= 4; list = list[4:] {
		if binary.LittleEndian.Uint32(list) == 0 {
			break
		}

		e.Namespaces++
	}

	e.Known = e.Namespaces > 0 && (manages(controller) || controller[76]&severalControllers == 0)

	return e, nil
}

// keepFormat is CDW10 of Format NVM (figure 323) for the layout that FLBAS and DPS of a
// namespace tell.
func keepFormat(flbas, dps byte) uint32 {
	lower, extended, upper := uint32(flbas&0xf), uint32(flbas>>4&1), uint32(flbas>>5&3)

	return lower | extended<<4 | uint32(dps&7)<<5 | uint32(dps>>3&1)<<8 | upper<<12
}

// Erasing is a way to make all of a namespace unreadable.
type Erasing struct {
	Name     string // for people
	Request  NVMeRequest
	Sanitize bool // it goes on by itself, and a log tells how it stands
}

// Ways lists the ways that hit this namespace and no other, the mildest first: Format NVM
// is about the namespace, Sanitize about the whole subsystem. The error says why there is
// none.
func (e NVMeErasure) Ways() (ways []Erasing, err error) {
	const (
		eraseData, eraseKey          = 1 << 9, 2 << 9 // SES
		sanitizeBlocks, sanitizeKey  = 2, 4           // SANACT
		unrestricted                 = 1 << 3         // a sanitize that fails leaves a disk that can be sanitized again
		canSanitizeKey, canSanitize2 = 1, 2
	)

	format := func(name string, how uint32) {
		ways = append(ways, Erasing{Name: "Format NVM, " + name, Request: NVMeRequest{Opcode: nvmeFormat, Namespaced: true, CDW10: e.Keep | how}})
	}
	sanitize := func(name string, how uint32) {
		ways = append(ways, Erasing{Name: "Sanitize, " + name, Request: NVMeRequest{Opcode: nvmeSanitize, CDW10: how | unrestricted}, Sanitize: true})
	}

	if e.Protected {
		return nil, fmt.Errorf("the namespace is write protected: %w", errors.ErrUnsupported)
	}

	if e.Format && (!e.AllAtOnce || e.Sole()) {
		if e.CryptoErase {
			format("cryptographic erase", eraseKey)
		}

		format("user data erase", eraseData)
	}

	if e.Sole() && e.Sanitize&canSanitizeKey != 0 {
		sanitize("cryptographic erase", sanitizeKey)
	}

	if e.Sole() && e.Sanitize&canSanitize2 != 0 {
		sanitize("block erase", sanitizeBlocks)
	}

	if len(ways) == 0 {
		return nil, fmt.Errorf("%s: %w", e.whyNot(), errors.ErrUnsupported)
	}

	return ways, nil
}

func (e NVMeErasure) whyNot() string {
	var words []string

	switch {
	case !e.Format:
		words = append(words, "it has no Format NVM")
	case e.AllAtOnce:
		words = append(words, "its Format NVM hits all namespaces at once")
	}

	if e.Sanitize&0x3 == 0 {
		words = append(words, "it has no Sanitize that erases blocks or keys")
	} else {
		words = append(words, "its Sanitize hits all namespaces at once")
	}

	switch {
	case !e.Known:
		words = append(words, "it does not tell of all of them")
	case e.Namespaces > 1:
		words = append(words, fmt.Sprintf("%d namespaces are there", e.Namespaces))
	}

	return strings.Join(words, ", ")
}

// ReadNVMeFormatting asks how much of a format that is under way is done, 0..1 (FPI of
// Identify Namespace). ok is false where the disk does not tell.
func ReadNVMeFormatting(dev NVMe) (done float64, ok bool) {
	const at, told, left = 32, 0x80, 0x7f

	data, err := admin(dev, "identifying NVMe namespace", NVMeRequest{Opcode: nvmeIdentify, Namespaced: true, In: nvmePageSize})
	if err != nil || data[at]&told == 0 {
		return 0, false
	}

	return 1 - float64(min(data[at]&left, 100))/100, true
}

// NVMeSanitizing is log page 81h, sanitize status (figure 269).
type NVMeSanitizing struct {
	Running  bool
	Failed   bool
	Passed   bool
	Done     float64 // of the one that is running, 0..1
	Action   byte    // SANACT of the latest
	Estimate [3]uint32
}

// Seconds is how long the latest sanitize was to take; 0: not told.
func (s NVMeSanitizing) Seconds() uint32 {
	const overwrite, blocks, key, untold = 3, 2, 4, 0xffffffff

	at := slices.Index([]byte{overwrite, blocks, key}, s.Action)
	if at < 0 || s.Estimate[at] == untold {
		return 0
	}

	return s.Estimate[at]
}

// ParseNVMeSanitizing decodes log page 81h.
func ParseNVMeSanitizing(b []byte) (s NVMeSanitizing, err error) {
	if len(b) < nvmeSanitizeSize {
		return s, fmt.Errorf("decoding NVMe sanitize status of %d bytes: %w", len(b), ErrShort)
	}

	status := binary.LittleEndian.Uint16(b[2:]) & 0x7
	s = NVMeSanitizing{Running: status == 2, Failed: status == 3, Passed: status == 1 || status == 4, Action: b[4] & 0x7}

	if s.Running {
		s.Done = float64(binary.LittleEndian.Uint16(b)) / 0x10000
	}

	for i := range s.Estimate {
		s.Estimate[i] = binary.LittleEndian.Uint32(b[8+4*i:])
	}

	return s, nil
}

// ReadNVMeSanitizing asks for log page 81h.
func ReadNVMeSanitizing(dev NVMe) (NVMeSanitizing, error) {
	data, err := admin(dev, "reading NVMe sanitize status", logRequest(logNVMeSanitize, nvmeSanitizeSize))
	if err != nil {
		return NVMeSanitizing{}, err
	}

	return ParseNVMeSanitizing(data)
}

// SendNVMe sends a command and judges its status. It is for ways of an NVMeErasure.
func SendNVMe(dev NVMe, w Erasing) error {
	_, err := admin(dev, w.Name, w.Request)

	return err
}
