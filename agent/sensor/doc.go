// Package sensor reads a machine's thermometers, fans, voltages and power meters
// once a second while its tests run, watches them, and stops a test that would
// damage a part.
//
// A sensor is known by its chip, the device it sits on and its label, since the
// numbers that the kernel gives to chips change with every boot. Sensors that
// answer nothing, or what no thermometer can say (-128, 127, 255 or a constant 0),
// are named and measure nothing.
//
// Limits that are numbers are rules of the profile over the samples sent, among
// them "headroom": how far a part is below the limit that its own sensor tells.
// What has a shape is judged here: a sensor that stands still, vanishes or stops
// turning, a socket or core hotter than its equals, a CPU that does not cool down,
// and heat that the machine throttles for.
package sensor
