// Package gate talks to the agent: the appliance's side of the conversation
// whose words are in agent/wire.
package gate
