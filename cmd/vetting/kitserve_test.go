package main

import (
	"testing"

	"vetting/agent/wire"
)

// A person types the number of a machine: one that comes later, or is registered
// meanwhile, moves none of those on the screen.
func TestMachinesOnTheKitsScreenKeepTheirNumbers(t *testing.T) {
	var came numbers

	for _, list := range []struct{ of, want []string }{
		{[]string{"b", "c"}, []string{"b", "c"}},
		{[]string{"a", "b", "c"}, []string{"b", "c", "a"}},
		{[]string{"c", "a", "d", "b"}, []string{"b", "c", "a", "d"}}, // c was registered, and hosts are read first
	} {
		var machines []wire.KitMachine
		for _, mac := range list.of {
			machines = append(machines, wire.KitMachine{MAC: mac})
		}

		came.sort(machines)

		for i, m := range machines {
			if m.MAC != list.want[i] {
				t.Errorf("of %v %s is number %d, want %v", list.of, m.MAC, i+1, list.want)
			}
		}
	}
}
