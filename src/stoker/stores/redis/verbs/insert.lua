-- uses: inserting
-- Answers with pairs of the number of a job that was not made and the id of the one that stood in its way.
local others = insert_all(ask.jobs, 1)
write_added()
close()
if freed then
    wake()
end
return others
