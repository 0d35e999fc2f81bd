package ui

import (
	"time"

	"github.com/gofiber/fiber/v2"
)

// App is the Fiber app behind the console.
func (u *UI) App() *fiber.App { return u.app }

// Pages lists every method and path that is registered besides the API.
func (u *UI) Pages() []fiber.Route { return u.app.GetRoutes(true) }

// Streams is how many live streams are open.
func (u *UI) Streams() int { return u.hub.Open() }

// WaitForShells sets how long a host may take to open its shell.
func (u *UI) WaitForShells(patience time.Duration) { u.terminals.patience = patience }

// LookAtCallers sets how often the callers of tunnels are looked at.
func (u *UI) LookAtCallers(every time.Duration) { u.tunnels.beat = every }

// WaitAtSerial sets for how long a serial console may be without a byte.
func (u *UI) WaitAtSerial(limit time.Duration) { u.terminals.idle = limit }
