package spec

import (
	"fmt"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/core/problem"
)

func (r *Result) pci(want []PCI, got *core.Inventory) {
	for i := range want {
		w := &want[i]
		r.Compared++

		found := 0

		for j := range got.PCI {
			if isPCI(w, &got.PCI[j]) {
				found++
			}
		}

		low, _ := w.Count.bounds()
		f := exactly(fmt.Sprintf("pci[%d].count", i), problem.SpecPCIExtra, w.count(), found, core.Warning)
		f.want, f.got = f.want+" of "+pciWords(w), strconv.Itoa(found)
		f.part = core.Part{Kind: "pci", Slot: w.Address.String(), Model: pciWords(w)}

		if uint64(found) < low { //nolint:gosec // never negative
			f.code, f.severity = problem.SpecPCIMissing, w.Count.severe(core.Critical)
		}

		if !f.ok {
			r.differ(f)
		}
	}
}

// count is how many there should be: one, where nothing is said.
func (p *PCI) count() Want {
	if p.Count.asked() {
		return p.Count
	}

	return Want{Any: []string{"1"}, Severity: p.Count.Severity}
}

func isPCI(w *PCI, d *core.PCIDevice) bool {
	for _, pair := range []struct {
		want *Want
		got  string
	}{{&w.Name, d.Name}, {&w.Vendor, d.Vendor}, {&w.Device, d.Device}, {&w.Address, d.Address}} {
		if pair.want.asked() && !pair.want.like(pair.got) {
			return false
		}
	}

	return isClass(&w.Class, d.Class)
}

// isClass compares the class of a device with its first digits: 01 is any storage.
func isClass(want *Want, got string) bool {
	for _, text := range want.Any {
		_, pattern := expression(text)
		if pattern && like(text, got) || !pattern && strings.HasPrefix(strings.ToLower(got), strings.ToLower(text)) {
			return true
		}
	}

	return !want.asked()
}

func pciWords(w *PCI) string {
	if w.Name.asked() {
		return w.Name.String()
	}

	words := []string{}

	if w.Vendor.asked() || w.Device.asked() {
		words = append(words, w.Vendor.String()+":"+w.Device.String())
	}

	if w.Class.asked() {
		words = append(words, "class "+w.Class.String())
	}

	if w.Address.asked() {
		words = append(words, "at "+w.Address.String())
	}

	return strings.Join(words, " ")
}
