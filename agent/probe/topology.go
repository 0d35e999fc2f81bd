package probe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/firmware/inventory"
)

// Thread is a logical CPU, as the kernel counts them.
type Thread struct {
	Number   int    `json:"number"`
	Online   bool   `json:"online"`
	Package  int    `json:"package"`            // -1: not told, as of one that is offline
	Core     int    `json:"core"`               // within the package; -1: not told
	Siblings []int  `json:"siblings,omitempty"` // threads of the same core, itself included
	APIC     int    `json:"apic"`               // -1: not told
	Model    string `json:"model,omitempty"`
	Revision string `json:"microcode,omitempty"`
	PPIN     string `json:"ppin,omitempty"` // the package's own number, where the kernel may read it
}

// Part names the thread's package, the thing that one can pull.
func (t Thread) Part() core.Part {
	part := core.Part{Kind: "cpu", Slot: "CPU" + strconv.Itoa(t.Package), Model: t.Model, Serial: t.PPIN}
	if t.Package < 0 {
		part.Slot = ""
	}

	return part
}

// String says where the thread is.
func (t Thread) String() string {
	words := []string{fmt.Sprintf("CPU %d", t.Number)}

	for _, w := range []struct {
		name string
		n    int
	}{{"socket", t.Package}, {"core", t.Core}, {"APIC id", t.APIC}} {
		if w.n >= 0 {
			words = append(words, fmt.Sprintf("%s %d", w.name, w.n))
		}
	}

	if at := slices.Index(t.Siblings, t.Number); at >= 0 && len(t.Siblings) > 1 {
		words = append(words, fmt.Sprintf("thread %d", at))
	}

	if t.Revision != "" {
		words = append(words, "microcode "+t.Revision)
	}

	if t.PPIN != "" {
		words = append(words, "PPIN "+t.PPIN)
	}

	return strings.Join(words, ", ")
}

// Threads lists the logical CPUs that are present, online or not.
func (m Machine) Threads() (threads []Thread) {
	const base = "sys/devices/system/cpu/"

	info := map[int]map[string]string{}

	for _, fields := range inventory.CPUInfo(m.Root) {
		if n, err := strconv.Atoi(fields["processor"]); err == nil {
			info[n] = fields
		}
	}

	microcode, online := inventory.Microcode(m.Root), m.numbered("online")

	for _, n := range m.numbered("present") {
		topology := fmt.Sprintf("%scpu%d/topology/", base, n)
		t := Thread{
			Number: n, Online: slices.Contains(online, n), Package: m.number(topology+"physical_package_id", -1),
			Core: m.number(topology+"core_id", -1), APIC: -1, Revision: microcode[n],
			Model: strings.Join(strings.Fields(info[n]["model name"]), " "), PPIN: m.text(topology + "ppin"),
		}

		if t.Siblings = ParseList(m.text(topology + "core_cpus_list")); t.Siblings == nil {
			t.Siblings = ParseList(m.text(topology + "thread_siblings_list"))
		}

		if id, err := strconv.Atoi(info[n]["apicid"]); err == nil {
			t.APIC = id
		}

		threads = append(threads, t)
	}

	return threads
}
