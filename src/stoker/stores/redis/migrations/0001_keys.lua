-- uses: ask
-- The keys of an app. Each begins with its hash tag, so that all of them live on one node of a cluster; instants and
-- spans are microseconds, and states are numbers.
--
--   :schema           how many migrations were applied
--   :serial           the last number that a job was given
--   :stand            hash: id → what changes of a job, as parts/stand.lua packs it
--   :facts            hash: id → what never changes of it, as the client packs it
--   :result, :error, :history, :progress, :message, :checkpoint, :reason
--                     hashes: id → the result, why it failed, the failed attempts as JSON, what it said, and why it was
--                     asked to stop
--   :ids              sorted set: all ids, in order
--   :live             sorted set: ids of unfinished jobs, in order
--   :state:NUMBER     sorted set: ids of failed and of cancelled jobs, in order
--   :owner:OWNER      sorted set: ids of an owner's jobs, in order
--   :keys             hash: key → id of the unfinished job that has it
--   :ready:LINE       sorted set: tickets of queued jobs of one queue and task, first one first
--   :lines            sorted set: lines that have queued jobs, by name
--   :due              sorted set: scheduled jobs by due time
--   :ended            sorted set: finished jobs by the end of their retention
--   :held:WORKER      hash: number → id of the jobs that a worker runs
--   :asked:WORKER     hash: number → fence of those that were asked to stop
--   :holders          set: workers that hold, or held, jobs
--   :workers          hash: worker → its lease and how it introduced itself
--   :queues, :paused  set and hash: queues that were paused once, and those that are
--   :counts           hash: state and line → number of jobs
--   :idle, :wake      a note that somebody waits for jobs, and the channel by which they are called
if redis.call('EXISTS', key('schema')) == 1 then
    return 0 -- another process was quicker
end
redis.call('SET', key('schema'), 1)
return 1
