package metastate

// maxBatch bounds the commands of one batch.
const maxBatch = 1000

func (c *change) carryOut(cmd *Command) Result {
	if cmd.parts() != 1 {
		return refused(CodeMalformed, "a command must hold one change, this one holds %d", cmd.parts())
	}
	if !c.view.Initialized() && cmd.InitCluster == nil {
		return refused(CodeUninitialized, "the cluster is not initialised")
	}
	c.by, c.via = cmd.By, cmd.Via
	if refusal := c.authorize(cmd); refusal != nil {
		return Result{Refusal: refusal}
	}
	c.applyNext(cmd)
	if cmd.Batch == nil {
		return c.dispatch(cmd, cmd.By)
	}
	return c.batch(cmd)
}

func (c *change) batch(cmd *Command) Result {
	if len(cmd.Batch) > maxBatch {
		return refused(CodeLimit, "a batch holds at most %d commands, not %d", maxBatch, len(cmd.Batch))
	}
	res := Result{Batch: make([]Result, 0, len(cmd.Batch))}
	for i := range cmd.Batch {
		part := &cmd.Batch[i]
		if part.parts() != 1 || part.Batch != nil || part.InitCluster != nil {
			return refused(CodeMalformed, "command %d of the batch is not one plain change", i)
		}
		r := c.dispatch(part, cmd.By)
		if r.Refusal != nil {
			return r
		}
		res.Batch = append(res.Batch, r)
	}
	return res
}

// parts counts the changes that are set.
func (cmd *Command) parts() int {
	n := 0
	for _, set := range []bool{
		cmd.InitCluster != nil, cmd.AddNode != nil, cmd.UpdateNode != nil,
		cmd.ResetStore != nil, cmd.SetMembership != nil, cmd.SetCordon != nil, cmd.UpdateRanges != nil,
		cmd.AllocateObjects != nil, cmd.ChangeObjects != nil, cmd.PrepareObjects != nil, cmd.ResolveObjects != nil, cmd.ForgetDropped != nil,
		cmd.AdvanceSequence != nil, cmd.SetSequence != nil, cmd.StartRun != nil, cmd.RunNow != nil, cmd.EndRun != nil, cmd.SwitchSchedule != nil,
		cmd.CreateOperation != nil, cmd.UpdateOperation != nil, cmd.RequestCancel != nil,
		cmd.CreateToken != nil, cmd.RevokeToken != nil,
		cmd.CreateJoinToken != nil, cmd.RevokeJoinToken != nil,
		cmd.PutUser != nil, cmd.DropUser != nil, cmd.SetSetting != nil,
		cmd.RecordEvents != nil, cmd.PauseOperation != nil, cmd.ResumeOperation != nil, cmd.LimitOperation != nil, cmd.EndSession != nil,
		cmd.ChangeUser != nil, cmd.ChangeMember != nil, cmd.AnchorLog != nil, cmd.PutPlan != nil, cmd.RecordSweep != nil, cmd.Prune != nil,
		cmd.IssueCertificate != nil, cmd.RevokeCertificate != nil, cmd.RotateCA != nil, cmd.RotateGossip != nil,
		cmd.MoveCAKey != nil, cmd.EndCAKeyMove != nil, cmd.PromiseVersion != nil, cmd.RaiseVersion != nil,
		cmd.CreatePool != nil, cmd.AlterPool != nil, cmd.RenamePool != nil, cmd.DropPool != nil, cmd.ReadyPool != nil, cmd.ReseedPool != nil, cmd.ClearRemoved != nil,
		len(cmd.Batch) > 0,
	} {
		if set {
			n++
		}
	}
	return n
}

func (c *change) dispatch(cmd *Command, by string) Result {
	switch {
	case cmd.InitCluster != nil:
		return c.initCluster(cmd.InitCluster, by)
	case cmd.AddNode != nil:
		return c.addNode(cmd.AddNode)
	case cmd.UpdateNode != nil:
		return c.updateNode(cmd.UpdateNode)
	case cmd.ResetStore != nil:
		return c.resetStore(cmd.ResetStore)
	case cmd.SetMembership != nil:
		return c.setMembership(cmd.SetMembership, by)
	case cmd.SetCordon != nil:
		return c.setCordon(cmd.SetCordon)
	case cmd.UpdateRanges != nil:
		return c.updateRanges(cmd.UpdateRanges)
	case cmd.AllocateObjects != nil, cmd.ChangeObjects != nil, cmd.PrepareObjects != nil, cmd.ResolveObjects != nil, cmd.ForgetDropped != nil,
		cmd.AdvanceSequence != nil, cmd.SetSequence != nil, cmd.StartRun != nil, cmd.RunNow != nil, cmd.EndRun != nil, cmd.SwitchSchedule != nil:
		return c.objects(cmd)
	case cmd.CreateOperation != nil:
		return c.createOperation(cmd.CreateOperation, by)
	case cmd.UpdateOperation != nil:
		return c.updateOperation(cmd.UpdateOperation)
	case cmd.RequestCancel != nil:
		return c.requestCancel(cmd.RequestCancel, by)
	case cmd.CreateToken != nil:
		return c.createToken(cmd.CreateToken, by)
	case cmd.RevokeToken != nil:
		return c.revokeToken(cmd.RevokeToken)
	case cmd.CreateJoinToken != nil:
		return c.createJoinToken(cmd.CreateJoinToken, by)
	case cmd.RevokeJoinToken != nil:
		return c.revokeJoinToken(cmd.RevokeJoinToken)
	case cmd.PutUser != nil:
		return c.replaceUser(cmd.PutUser)
	case cmd.DropUser != nil:
		return c.removeUser(cmd.DropUser)
	case cmd.RecordEvents != nil:
		return c.recordEvents(cmd.RecordEvents)
	case cmd.PauseOperation != nil:
		return c.pauseOperation(cmd.PauseOperation, by)
	case cmd.ResumeOperation != nil:
		return c.resumeOperation(cmd.ResumeOperation, by)
	case cmd.LimitOperation != nil:
		return c.limitOperation(cmd.LimitOperation)
	case cmd.EndSession != nil:
		return c.endSession(cmd.EndSession)
	case cmd.ChangeUser != nil:
		return c.changeUser(cmd.ChangeUser)
	case cmd.ChangeMember != nil:
		return c.changeMember(cmd.ChangeMember, by)
	case cmd.AnchorLog != nil:
		return c.anchorLog(cmd.AnchorLog)
	case cmd.PutPlan != nil:
		return c.putPlan(cmd.PutPlan, by)
	case cmd.RecordSweep != nil:
		return c.recordSweep(cmd.RecordSweep)
	case cmd.Prune != nil:
		return c.prune()
	case cmd.SetSetting != nil:
		return c.setSetting(cmd.SetSetting)
	case cmd.CreatePool != nil, cmd.AlterPool != nil, cmd.RenamePool != nil, cmd.DropPool != nil, cmd.ReadyPool != nil, cmd.ReseedPool != nil, cmd.ClearRemoved != nil:
		return c.pools(cmd)
	default:
		return c.credentials(cmd, by)
	}
}

// objects are the commands about what SQL makes.
func (c *change) objects(cmd *Command) Result {
	switch {
	case cmd.AllocateObjects != nil:
		return c.allocateObjects(cmd.AllocateObjects)
	case cmd.ChangeObjects != nil:
		return c.changeObjects(cmd.ChangeObjects)
	case cmd.PrepareObjects != nil:
		return c.prepareObjects(cmd.PrepareObjects)
	case cmd.ResolveObjects != nil:
		return c.resolveObjects(cmd.ResolveObjects)
	case cmd.AdvanceSequence != nil:
		return c.advanceSequence(cmd.AdvanceSequence)
	case cmd.SetSequence != nil:
		return c.setSequence(cmd.SetSequence)
	case cmd.StartRun != nil:
		return c.startRun(cmd.StartRun)
	case cmd.RunNow != nil:
		return c.runNow(cmd.RunNow)
	case cmd.SwitchSchedule != nil:
		return c.switchSchedule(cmd.SwitchSchedule)
	case cmd.EndRun != nil:
		return Result{Refusal: c.endRun(cmd.EndRun)}
	default:
		return c.forgetDropped(cmd.ForgetDropped)
	}
}

// credentials are the commands about certificates and keys, and about versions.
func (c *change) credentials(cmd *Command, by string) Result {
	switch {
	case cmd.PromiseVersion != nil:
		return c.promiseVersion(cmd.PromiseVersion)
	case cmd.RaiseVersion != nil:
		return c.raiseVersion(cmd.RaiseVersion)
	case cmd.IssueCertificate != nil:
		return c.issueCertificate(cmd.IssueCertificate, by)
	case cmd.MoveCAKey != nil:
		return c.moveCAKey(cmd.MoveCAKey, by)
	case cmd.EndCAKeyMove != nil:
		return c.endCAKeyMove(cmd.EndCAKeyMove)
	case cmd.RevokeCertificate != nil:
		return c.revokeCertificate(cmd.RevokeCertificate)
	case cmd.RotateCA != nil:
		return c.rotateCA(cmd.RotateCA)
	default:
		return c.rotateGossip(cmd.RotateGossip)
	}
}
