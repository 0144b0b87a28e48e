package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// unserved returns the error answers of the API keys that have no handler yet. When you add one,
// move the key's properties and functions to its file in this package.
func unserved() []Handler {
	return []Handler{
		{Key: protocol.DescribeClientQuotas},
		{Key: protocol.AlterClientQuotas, PerEntry: true, Fail: completed(failAlterClientQuotas)},
		{Key: protocol.DescribeUserScramCredentials, PerEntry: true, Fail: completed(failDescribeUserScramCredentials)},
		{Key: protocol.AlterUserScramCredentials, PerEntry: true, Unthrottled: true, Fail: completed(failAlterUserScramCredentials)},
		{Key: protocol.Envelope},
	}
}

// failAlterClientQuotas always sets the text of the code as the message.
func failAlterClientQuotas(_ *kmsg.AlterClientQuotasRequest, resp *kmsg.AlterClientQuotasResponse, err error) {
	text := protocol.CodeOf(err).Message()
	for i := range resp.Entries {
		resp.Entries[i].ErrorMessage = &text
	}
}

// failDescribeUserScramCredentials adds an entry for each user in the request, as in Kafka without
// the user's name.
func failDescribeUserScramCredentials(req *kmsg.DescribeUserSCRAMCredentialsRequest, resp *kmsg.DescribeUserSCRAMCredentialsResponse, err error) {
	for range req.Users {
		result := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		result.ErrorCode, result.ErrorMessage = codeAndMessage(err)
		resp.Results = append(resp.Results, result)
	}
}

func failAlterUserScramCredentials(req *kmsg.AlterUserSCRAMCredentialsRequest, resp *kmsg.AlterUserSCRAMCredentialsResponse, err error) {
	var users []string
	for _, d := range req.Deletions {
		users = append(users, d.Name)
	}
	for _, u := range req.Upsertions {
		users = append(users, u.Name)
	}
	slices.Sort(users)
	for _, user := range slices.Compact(users) {
		result := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		result.User = user
		result.ErrorCode, result.ErrorMessage = codeAndMessage(err)
		resp.Results = append(resp.Results, result)
	}
}
