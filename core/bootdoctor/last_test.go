package bootdoctor_test

import (
	"testing"
	"time"

	"vetting/core"
	"vetting/core/bootdoctor"
)

func TestTheLastBootBeginsWhereTheMachineWasSwitchedOrAskedAnew(t *testing.T) {
	t.Parallel()

	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	step := func(after time.Duration, kind string) core.BootStep {
		return core.BootStep{Time: at.Add(after), Kind: kind, Client: core.BootClient{Kind: core.ClientUEFI}}
	}
	booted := []core.BootStep{
		step(0, "discover"), step(time.Second, "ack"), step(2*time.Second, "tftp"), step(3*time.Second, "script"), step(9*time.Second, "hello"),
	}

	tests := map[string]struct {
		steps []core.BootStep
		first int
	}{
		"nothing":           {nil, 0},
		"one boot":          {booted, 0},
		"asked anew":        {append(booted[:5:5], step(time.Hour, "discover"), step(time.Hour, "offer")), 5},
		"switched":          {append(booted[:5:5], step(time.Hour, "power"), step(time.Hour+time.Minute, "discover"), step(time.Hour+time.Minute, "offer")), 5},
		"switched long ago": {append(booted[:5:5], step(time.Hour, "power"), step(2*time.Hour, "discover"), step(2*time.Hour, "script"), step(3*time.Hour, "discover")), 8},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := bootdoctor.Last(tt.steps); len(tt.steps)-len(got) != tt.first {
				t.Errorf("begins at step %d, want %d", len(tt.steps)-len(got), tt.first)
			}
		})
	}
}
