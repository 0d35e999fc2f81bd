package bmc

import "time"

// Supply is what a power supply is like at a moment.
type Supply struct {
	Absent     bool
	Failed     bool
	Predicted  bool
	InputLost  bool
	InputOut   bool // of its range
	Misplaced  bool // configuration error
	Mute       bool // its sensors tell nothing
	InputVolts float64
	Volts      float64 // of the output
	Input      float64 // watts
	Output     float64 // watts
}

// Power is what a machine's power is like at a moment.
type Power struct {
	Supplies [2]Supply
	Rail     float64 // of 12 V, on the board
	Inlet    float64 // °C
	Lost     bool    // redundancy
	Degraded bool    // likewise
}

// Scene says what the power is like, by the load of the machine (0 to 1) and the time
// since somebody first asked for the state of a supply.
type Scene func(load float64, since time.Duration) Power

// What the machine and its supplies are made for.
const (
	Watts    = 800  // capacity of each supply
	idleDraw = 120  // watts of the machine at rest …
	fullDraw = 1040 // … and at full load
	sound    = 0.92 // efficiency
)

// Healthy is a machine whose supplies share the load.
func Healthy(load float64, _ time.Duration) Power { return shared(load, 0.5) }

// shared gives the first supply a share of the load.
func shared(load, first float64) Power {
	p := Power{Rail: 12.06 - 0.12*load, Inlet: 24}
	draw := idleDraw + (fullDraw-idleDraw)*load

	for i, share := range []float64{first, 1 - first} {
		p.Supplies[i] = Supply{InputVolts: 230, Volts: 12.12 - 0.12*load, Output: draw * share, Input: draw * share / sound}
	}

	return p
}

// alone leaves all to the other supply.
func alone(load float64, gone int) Power {
	p := shared(load, float64(gone))
	p.Lost = true
	p.Supplies[gone] = Supply{}

	return p
}

// LosesInput is a machine whose supply of a number (from 0) loses its input after a while.
func LosesInput(number int, after time.Duration) Scene {
	return func(load float64, since time.Duration) Power {
		if since < after {
			return Healthy(load, since)
		}

		p := alone(load, number)
		p.Supplies[number].InputLost = true

		return p
	}
}

// Dead is a machine in which a supply has failed.
func Dead(number int) Scene {
	return func(load float64, _ time.Duration) Power {
		p := alone(load, number)
		p.Supplies[number].Failed, p.Supplies[number].InputVolts = true, 230

		return p
	}
}

// Hogs is a machine in which the first supply carries three quarters of the load.
func Hogs(load float64, _ time.Duration) Power {
	const share = 0.75

	return shared(load, share)
}

// Sags is a machine in which the output of a supply breaks down under load by so many
// volts.
func Sags(number int, volts float64) Scene {
	return func(load float64, _ time.Duration) Power {
		p := shared(load, 0.5)
		p.Supplies[number].Volts -= volts * load

		return p
	}
}
